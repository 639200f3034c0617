#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros.h>

#include "dual.hpp"
#include "record.hpp"

namespace critical_sharpness::dual {
namespace {

void fill_rows(at::Tensor rows, const at::Tensor& row) {
  if (row.defined()) rows.copy_(row);
  else rows.zero_();
}

/// What a layer keeps. x is constant, with no tangent, or dual rows.
struct Linear {
  at::Tensor x, w, w_tangent;
  bool constant, transposed, gauss_newton, bias;

  at::Tensor x_values() const { return constant ? x : values(x); }
  at::Tensor right(const at::Tensor& weight) const { return transposed ? weight.t() : weight; }

  /// y = xW + b, ẏ = ẋW + xẆ + ḃ.
  at::Tensor forward(const Weight& b) const {
    at::Tensor y = at::empty({2 * x_values().size(0), right(w).size(1)}, x.options());
    fill_rows(values(y), b.value);
    fill_rows(tangents(y), b.tangent);
    (constant ? values(y) : y).addmm_(x, right(w));
    if (w_tangent.defined()) tangents(y).addmm_(x_values(), right(w_tangent));
    return y;
  }

  std::vector<at::Tensor> backward(const at::Tensor& g) const {
    // Where the tangents' gradient adds nothing to the weight's.
    const bool half = constant || gauss_newton;
    const at::Tensor rows = half ? x_values() : x, into = half ? values(g) : g;
    return {constant ? at::Tensor() : into_x(g), transposed ? at::mm(into.t(), rows) : at::mm(rows.t(), into),
            bias ? values(g).sum(0) : at::Tensor()};
  }

 private:
  at::Tensor into_x(const at::Tensor& g) const {
    if (gauss_newton) {
      at::Tensor into = at::zeros(x.sizes(), x.options());
      values(into).addmm_(values(g), right(w).t());
      return into;
    }
    at::Tensor into = at::mm(g, right(w).t());
    if (w_tangent.defined()) values(into).addmm_(tangents(g), right(w_tangent).t());
    return into;
  }
};

}  // namespace

at::Tensor linear(const at::Tensor& x, const Weight& weight, const std::optional<Weight>& bias, bool transposed,
                  bool gauss_newton) {
  const at::NoGradGuard no_gradient;
  const Weight b = bias.value_or(Weight{});
  const Linear layer{x.detach(), weight.value.detach(), weight.tangent, !x.requires_grad(), transposed, gauss_newton,
                     bias.has_value()};
  return record({x, weight.value, b.value}, layer.forward({b.value.defined() ? b.value.detach() : b.value, b.tangent}),
                [layer](const at::Tensor& g) { return layer.backward(g); });
}

}  // namespace critical_sharpness::dual
