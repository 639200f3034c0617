#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros.h>

#include "dual.hpp"

namespace critical_sharpness::dual {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

void fill_rows(at::Tensor rows, const at::Tensor& row) {
  if (row.defined()) rows.copy_(row);
  else rows.zero_();
}

struct Linear : torch::autograd::Function<Linear> {
  /// y = xW + b, ẏ = ẋW + xẆ + ḃ.
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& w, const at::Tensor& b,
                            const at::Tensor& w_tangent, const at::Tensor& b_tangent, bool constant, bool transposed,
                            bool gauss_newton) {
    ctx->save_for_backward({x, w, w_tangent});
    ctx->saved_data["constant"] = constant;
    ctx->saved_data["transposed"] = transposed;
    ctx->saved_data["gauss_newton"] = gauss_newton;
    ctx->saved_data["bias"] = b.defined();
    const at::Tensor right = transposed ? w.t() : w;
    const at::Tensor x_values = constant ? x : values(x);
    at::Tensor y = at::empty({2 * x_values.size(0), right.size(1)}, x.options());
    fill_rows(values(y), b);
    fill_rows(tangents(y), b_tangent);
    (constant ? values(y) : y).addmm_(x, right);
    if (w_tangent.defined()) tangents(y).addmm_(x_values, transposed ? w_tangent.t() : w_tangent);
    return y;
  }

  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    const auto saved = ctx->get_saved_variables();
    const at::Tensor &x = saved[0], &w = saved[1], &w_tangent = saved[2];
    const bool constant = ctx->saved_data["constant"].toBool(), transposed = ctx->saved_data["transposed"].toBool(),
               gauss_newton = ctx->saved_data["gauss_newton"].toBool();
    const at::Tensor g = gradients[0].contiguous();
    const bool first_half = constant || gauss_newton;  // the tangent half adds nothing to the weight's gradient
    const at::Tensor left = !constant && gauss_newton ? values(x) : x, right = first_half ? values(g) : g;
    variable_list result(8);
    result[1] = transposed ? at::mm(right.t(), left) : at::mm(left.t(), right);
    if (ctx->saved_data["bias"].toBool()) result[2] = values(g).sum(0);
    if (constant) return result;
    const auto back = [&](const at::Tensor& weight) { return transposed ? weight : weight.t(); };
    if (gauss_newton) {
      result[0] = at::zeros(x.sizes(), x.options());
      values(result[0]).addmm_(values(g), back(w));
    } else {
      result[0] = at::mm(g, back(w));
      if (w_tangent.defined()) values(result[0]).addmm_(tangents(g), back(w_tangent));
    }
    return result;
  }
};

}  // namespace

at::Tensor linear(const at::Tensor& x, const Weight& weight, const std::optional<Weight>& bias, bool transposed,
                  bool gauss_newton) {
  const Weight b = bias.value_or(Weight{});
  return Linear::apply(x, weight.value, b.value, weight.tangent, b.tangent, !x.requires_grad(), transposed, gauss_newton);
}

}  // namespace critical_sharpness::dual
