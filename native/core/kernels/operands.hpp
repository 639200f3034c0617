#pragma once
#include <ATen/Dispatch.h>
#include <ATen/core/Tensor.h>

#include <array>

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

/// Calls body(T{}) with T the lists' element type.
template <class Body>
void with_element_type(const std::vector<at::Tensor>& tensors, const Body& body) {
  for (const auto& t : tensors)
    if (t.defined()) return t.scalar_type() == at::kDouble ? body(double{}) : body(float{});
}

}  // namespace critical_sharpness::kernels
