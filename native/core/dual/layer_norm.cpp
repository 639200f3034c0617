#include "kernels/dual_layer_norm.hpp"

#include "dual.hpp"

namespace critical_sharpness::dual {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct LayerNorm : torch::autograd::Function<LayerNorm> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& w, const at::Tensor& b,
                            const at::Tensor& w_tangent, const at::Tensor& b_tangent, double epsilon) {
    auto made = kernels::dual_layer_norm(x.contiguous(), {w, w_tangent}, {b, b_tangent}, epsilon);
    ctx->save_for_backward({made.normalized, made.statistics, w, w_tangent});
    return made.output;
  }

  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    const auto saved = ctx->get_saved_variables();
    auto made = kernels::dual_layer_norm_backward(gradients[0].contiguous(), saved[0], saved[1], {saved[2], saved[3]});
    return {made.x, made.weight, made.bias, {}, {}, {}};
  }
};

}  // namespace

at::Tensor layer_norm(const at::Tensor& x, const Weight& weight, const Weight& bias, double epsilon) {
  return LayerNorm::apply(x, weight.value, bias.value, weight.tangent, bias.tangent, epsilon);
}

}  // namespace critical_sharpness::dual
