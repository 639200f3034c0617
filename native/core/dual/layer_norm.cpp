#include "kernels/dual_layer_norm.hpp"

#include <ATen/core/grad_mode.h>

#include "dual.hpp"
#include "record.hpp"

namespace critical_sharpness::dual {

at::Tensor layer_norm(const at::Tensor& x, const Weight& weight, const Weight& bias, double epsilon) {
  const at::NoGradGuard no_gradient;
  const kernels::DualRow scale{weight.value.detach(), weight.tangent};
  auto made = kernels::dual_layer_norm(x.detach().contiguous(), scale, {bias.value.detach(), bias.tangent}, epsilon);
  return record({x, weight.value, bias.value}, made.output,
                [normalized = made.normalized, statistics = made.statistics, scale](const at::Tensor& g) {
                  auto into = kernels::dual_layer_norm_backward(g, normalized, statistics, scale);
                  return std::vector<at::Tensor>{into.x, into.weight, into.bias};
                });
}

}  // namespace critical_sharpness::dual
