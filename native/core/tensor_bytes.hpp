#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace critical_sharpness {

/// Bytes [offset, offset + length) of a contiguous tensor on any device, clipped at its end.
std::vector<uint8_t> bytes_of(const at::Tensor& tensor, int64_t offset, int64_t length);

}  // namespace critical_sharpness
