#pragma once
#include <ATen/core/Tensor.h>

#include <vector>

namespace critical_sharpness {

/// Buffers for weights made for one use. Kept between passes, so that measuring allocates nothing after the first. A buffer is
/// free once nobody holds the tensor that was made in it: whoever keeps that, keeps its numbers.
class Scratch {
 public:
  /// `largest`, `largest_vector`: bytes of the largest weight, and of the largest of one axis. A buffer is made at once for one of
  /// them: one that grew would leave holes in the heap that cost as much again.
  Scratch(int64_t largest, int64_t largest_vector, at::Device device = at::kCPU)
      : largest_(largest), largest_vector_(largest_vector), device_(device) {}
  /// An uninitialised tensor. `together`: it is one of many that are held at once, and gets no more room than it takes.
  at::Tensor take(at::IntArrayRef shape, at::ScalarType dtype, bool together = false);

 private:
  int64_t largest_, largest_vector_;
  at::Device device_;
  std::vector<c10::Storage> buffers_;
};

}  // namespace critical_sharpness
