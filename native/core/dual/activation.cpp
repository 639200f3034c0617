#include "kernels/dual_activation.hpp"

#include "dual.hpp"

namespace critical_sharpness::dual {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct Activate : torch::autograd::Function<Activate> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, int64_t kind) {
    auto made = kernels::dual_activation(x.contiguous(), static_cast<Activation>(kind));
    ctx->save_for_backward({made.slope, made.bend});
    return made.output;
  }
  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    const auto saved = ctx->get_saved_variables();
    return {kernels::dual_activation_backward(gradients[0].contiguous(), saved[0], saved[1]), {}};
  }
};

}  // namespace

at::Tensor activation(const at::Tensor& x, Activation kind) { return Activate::apply(x, static_cast<int64_t>(kind)); }

}  // namespace critical_sharpness::dual
