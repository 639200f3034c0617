#include <ATen/ops/addmm.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros.h>

#include <utility>

#include "operation.hpp"

namespace critical_sharpness::curvature {
namespace {

class Linear final : public Operation {
 public:
  Linear(size_t weight, std::optional<size_t> bias, bool transposed, bool constant)
      : Operation(bias ? std::vector<size_t>{weight, *bias} : std::vector<size_t>{weight}),
        weight_(weight),
        bias_(bias),
        transposed_(transposed),
        constant_(constant) {}

  at::Tensor output(const Weights& weights, const Tensors& inputs) override {
    x_ = inputs[0];
    const at::Tensor w = right(weights.value(weight_));
    return bias_ ? at::addmm(weights.value(*bias_), x_, w) : at::mm(x_, w);
  }

  Tensors keep_gradient(const Weights& weights, const at::Tensor& gradient) override {
    gradient_ = gradient;
    return {constant_ ? at::Tensor() : at::mm(gradient, right(weights.value(weight_)).t())};
  }

  /// ẏ = ẋW + xẆ + ḃ
  Tangent tangent(const Weights& weights, const Tensors& inputs) const override {
    const at::Tensor w = right(weights.value(weight_)), &w_tangent = weights.tangent(weight_), &input = inputs[0];
    at::Tensor y;
    if (w_tangent.defined()) y = at::mm(x_, right(w_tangent));
    if (input.defined()) y = y.defined() ? y.addmm_(input, w) : at::mm(input, w);
    if (!y.defined()) y = at::zeros({x_.size(0), w.size(1)}, x_.options());
    if (bias_ && weights.tangent(*bias_).defined()) y.add_(weights.tangent(*bias_));
    return {y, {input}};
  }

  Gradients differentiate(const Weights& weights, const Memory& memory, const at::Tensor& gradient) const override {
    const at::Tensor &x_tangent = memory[0], &w_tangent = weights.tangent(weight_);
    const auto of_weight = [&](const at::Tensor& x, const at::Tensor& g) {
      return transposed_ ? std::pair(g.t(), x) : std::pair(x.t(), g);
    };
    const auto [a, b] = of_weight(x_, gradient);
    Gradients into{{at::Tensor()}, {at::mm(a, b)}};
    if (gradient_.defined() && x_tangent.defined()) {
      const auto [c, d] = of_weight(x_tangent, gradient_);
      into.parameters[0].addmm_(c, d);
    }
    if (bias_) into.parameters.push_back(gradient.sum(0));
    if (constant_) return into;
    into.inputs[0] = at::mm(gradient, right(weights.value(weight_)).t());
    if (gradient_.defined() && w_tangent.defined()) into.inputs[0].addmm_(gradient_, right(w_tangent).t());
    return into;
  }

  int64_t byte_length() const override { return bytes_of({constant_ ? at::Tensor() : x_, gradient_}); }

 private:
  at::Tensor right(const at::Tensor& weight) const { return transposed_ ? weight.t() : weight; }

  size_t weight_;
  std::optional<size_t> bias_;
  bool transposed_, constant_;
  at::Tensor x_, gradient_;
};

}  // namespace

std::unique_ptr<Operation> linear(size_t weight, std::optional<size_t> bias, bool transposed, bool constant) {
  return std::make_unique<Linear>(weight, bias, transposed, constant);
}

}  // namespace critical_sharpness::curvature
