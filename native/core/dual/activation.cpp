#include <ATen/core/grad_mode.h>

#include "dual.hpp"
#include "kernels/dual_activation.hpp"
#include "record.hpp"

namespace critical_sharpness::dual {

at::Tensor activation(const at::Tensor& x, Activation kind) {
  const at::NoGradGuard no_gradient;
  auto made = kernels::dual_activation(x.detach().contiguous(), kind);
  return record({x}, made.output, [slope = made.slope, bend = made.bend](const at::Tensor& g) {
    return std::vector<at::Tensor>{kernels::dual_activation_backward(g, slope, bend)};
  });
}

}  // namespace critical_sharpness::dual
