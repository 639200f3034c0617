#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>

#include "kernels.hpp"

namespace critical_sharpness::cuda {

at::Tensor rotate(const at::Tensor& x, const at::Tensor& cosines, const at::Tensor& sines, bool back) {
  const int64_t pairs = cosines.size(1);
  const at::Tensor a = x.narrow(3, 0, pairs), b = x.narrow(3, pairs, pairs);
  const at::Tensor c = cosines.unsqueeze(1), s = back ? -sines.unsqueeze(1) : sines.unsqueeze(1);
  return at::cat({a * c - b * s, b * c + a * s, x.narrow(3, 2 * pairs, x.size(3) - 2 * pairs)}, 3);
}

}  // namespace critical_sharpness::cuda
