#pragma once
#include <ATen/core/Tensor.h>

#include <optional>
#include <utility>

namespace critical_sharpness::kernels {

/// Of integers that were copied. `lowest` and `largest` are those of the ones that count, and 0 at most and at least.
struct CopiedIntegers {
  at::Tensor numbers;  // int32, of the shape of what was copied
  int64_t lowest = 0, largest = 0, counted = 0;
};

/// A copy as int32 of contiguous int64, int32, uint32, uint16 or uint8 numbers on the CPU. Those equal to `ignored` do not count;
/// without it all do.
/// Numbers that int32 has not are cut off, and seen in `lowest` or `largest`. For the event loop's thread, where libtorch's own
/// operations would start a pool of threads: one pass, large ones by a few threads of its own.
CopiedIntegers copy_integers(const at::Tensor& from, std::optional<int64_t> ignored);

/// How many of contiguous int32 numbers are not `ignored`.
int64_t count_others(const at::Tensor& numbers, int32_t ignored);

/// The lowest and the largest of contiguous int64 numbers, one or more.
std::pair<int64_t, int64_t> range_of(const at::Tensor& numbers);

}  // namespace critical_sharpness::kernels
