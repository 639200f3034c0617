#pragma once
#include <ATen/core/Tensor.h>

#include <array>

namespace critical_sharpness {

/// Buffers for weights made for one use. Kept between passes, so that measuring allocates nothing after the first;
/// each grows to the largest parameter that went through it and no further.
class Scratch {
 public:
  /// A layer reads at most a weight and a bias at once.
  enum class Slot { weight, bias };
  /// An uninitialised tensor in the slot's buffer; the slot's next use overwrites it.
  at::Tensor take(Slot slot, at::IntArrayRef shape, at::ScalarType dtype);

 private:
  std::array<at::Tensor, 2> buffers_;
};

}  // namespace critical_sharpness
