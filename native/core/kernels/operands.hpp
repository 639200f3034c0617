#pragma once
#include <ATen/Dispatch.h>
#include <ATen/core/Tensor.h>
#include <c10/util/BFloat16.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "chunks.hpp"

namespace critical_sharpness::kernels {

/// A chunk's values to read; an undefined tensor reads as zeros.
template <class T>
const T* read(const at::Tensor& tensor, const Chunk& chunk) {
  static const std::array<T, chunk_length> zeros{};
  return tensor.defined() ? tensor.const_data_ptr<T>() + chunk.start : zeros.data();
}
template <class T>
T* write(const at::Tensor& tensor, const Chunk& chunk) {
  return tensor.mutable_data_ptr<T>() + chunk.start;
}

/// bfloat16 numbers from `start` as float32.
inline void widen(float* out, const at::Tensor& tensor, int64_t start, int64_t length) {
  const auto* bits = reinterpret_cast<const uint16_t*>(tensor.const_data_ptr<at::BFloat16>()) + start;
  for (int64_t i = 0; i < length; i++) {
    const uint32_t wide = static_cast<uint32_t>(bits[i]) << 16;
    std::memcpy(out + i, &wide, sizeof wide);
  }
}

/// A chunk of a weight in T: where it lies, or a bfloat16 one's numbers in `buffer`.
template <class T>
const T* read_wide(const at::Tensor& weight, int64_t start, int64_t length, ChunkBuffer& buffer) {
  if constexpr (std::is_same_v<T, float>) {
    if (weight.scalar_type() == at::kBFloat16) {
      auto* wide = reinterpret_cast<float*>(buffer.data);
      widen(wide, weight, start, length);
      return wide;
    }
  }
  return weight.const_data_ptr<T>() + start;
}

/// Calls body(T{}) with T the lists' element type.
template <class Body>
void with_element_type(const std::vector<at::Tensor>& tensors, const Body& body) {
  for (const auto& t : tensors)
    if (t.defined()) return t.scalar_type() == at::kDouble ? body(double{}) : body(float{});
}

}  // namespace critical_sharpness::kernels
