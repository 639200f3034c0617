#pragma once
#include <ATen/core/Tensor.h>

#include <array>

namespace critical_sharpness {

/// Buffers for weights made for one use. Kept between passes, so that measuring allocates nothing after the first.
class Scratch {
 public:
  /// A layer reads at most a weight and a bias at once.
  enum class Slot { weight, bias };
  static constexpr size_t slots = 2;
  /// `capacity`: bytes of each slot's largest tensor. A buffer is made at its first use, at once in full: one that grew
  /// would leave holes in the heap that cost as much again.
  explicit Scratch(std::array<int64_t, slots> capacity, at::Device device = at::kCPU)
      : capacity_(capacity), device_(device) {}
  /// An uninitialised tensor in the slot's buffer; the slot's next use overwrites it.
  at::Tensor take(Slot slot, at::IntArrayRef shape, at::ScalarType dtype);

 private:
  std::array<int64_t, slots> capacity_;
  at::Device device_;
  std::array<at::Tensor, slots> buffers_;
};

}  // namespace critical_sharpness
