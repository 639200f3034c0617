#pragma once
#include <c10/core/ScalarType.h>

#include <cstdint>
#include <functional>
#include <vector>

namespace critical_sharpness::kernels {

/// `length` numbers of a list's tensor from `start`, at most chunk_length: where they lie, or made in `buffer`.
using ReadNumbers = std::function<const void*(size_t tensor, int64_t start, int64_t length, void* buffer)>;

/// Σ aᵢbᵢ over each tensor of two lists in float64. Summed within fixed chunks first, then chunk by chunk in order: the same
/// bits for every number of threads. `lengths`: numbers of each tensor; 0: it is not read. Numbers are float32 or float64.
std::vector<double> dots(at::ScalarType dtype, const std::vector<int64_t>& lengths, const ReadNumbers& a, const ReadNumbers& b);

}  // namespace critical_sharpness::kernels
