#include "experts.hpp"

#include <ATen/ops/_softmax.h>
#include <ATen/ops/zeros.h>

#include "kernels/softmax.hpp"
#include "operation.hpp"

namespace critical_sharpness::curvature {
namespace {

/// The weights are a softmax's p: over all experts, of which the chosen ones' are taken, or over the chosen ones' logits.
class Route final : public Choice {
 public:
  explicit Route(const Router& router) : router_(router) {}

  at::Tensor output(const Weights&, const Tensors& inputs) override {
    logits_like_ = inputs[0].options();
    count_ = inputs[0].size(1);
    const at::Tensor probabilities = at::_softmax(inputs[0].contiguous(), 1, false);
    experts_ = choose(probabilities, router_);
    p_ = router_.normalized ? at::_softmax(taken(inputs[0]), 1, false) : probabilities;
    return router_.normalized ? p_ : taken(p_);
  }
  Tensors keep_gradient(const Weights&, const at::Tensor& gradient) override {
    gradient_ = in_p(gradient);
    return {back(gradient_.clone())};
  }
  Tangent tangent(const Weights&, const Tensors& inputs) const override {
    const at::Tensor logits = router_.normalized ? taken(inputs[0]) : inputs[0].contiguous(), moved = logits.clone();
    kernels::softmax_tangent(p_, moved);
    return {router_.normalized ? moved : taken(moved), {logits}};
  }
  Gradients differentiate(const Weights&, const Memory& memory, const at::Tensor& gradient) const override {
    if (!gradient_.defined()) return {{back(in_p(gradient).clone())}, {}};
    const at::Tensor moved = memory[0].clone(), into = in_p(gradient).clone(), into_tangent = gradient_.clone();
    kernels::softmax_backward(p_, moved, into, into_tangent);
    return {{in_logits(into)}, {}};
  }
  int64_t byte_length() const override { return bytes_of({p_, experts_, gradient_}); }

 private:
  at::Tensor taken(const at::Tensor& all) const { return all.gather(1, experts_); }
  at::Tensor spread(const at::Tensor& chosen) const {
    return at::zeros({chosen.size(0), count_}, logits_like_).scatter_(1, experts_, chosen);
  }
  /// A gradient in the weights as one in p, one in the logits that p is of as one in all.
  at::Tensor in_p(const at::Tensor& gradient) const { return router_.normalized ? gradient.contiguous() : spread(gradient); }
  at::Tensor in_logits(const at::Tensor& gradient) const { return router_.normalized ? spread(gradient) : gradient; }
  /// The softmax's Jacobian is symmetric. Writes to `gradient`.
  at::Tensor back(const at::Tensor& gradient) const {
    kernels::softmax_tangent(p_, gradient);
    return in_logits(gradient);
  }

  Router router_;
  at::TensorOptions logits_like_;
  int64_t count_ = 0;
  at::Tensor p_, gradient_;
};

/// Bilinear in weights and rows.
class Combine final : public Operation {
 public:
  explicit Combine(const Dispatch& dispatch) : Operation({}), dispatch_(dispatch) {}

  at::Tensor output(const Weights&, const Tensors& inputs) override {
    weights_ = inputs[0];
    rows_ = inputs[1];
    return dispatch_.weighted_sum(weights_, rows_);
  }
  Tensors keep_gradient(const Weights&, const at::Tensor& gradient) override {
    gradient_ = gradient;
    return {dispatch_.gradient_in_weights(gradient, rows_), dispatch_.gradient_in_rows(gradient, weights_)};
  }
  Tangent tangent(const Weights&, const Tensors& inputs) const override {
    return {dispatch_.weighted_sum(inputs[0], rows_).add_(dispatch_.weighted_sum(weights_, inputs[1])), {inputs[0], inputs[1]}};
  }
  Gradients differentiate(const Weights&, const Memory& memory, const at::Tensor& gradient) const override {
    at::Tensor into_weights = dispatch_.gradient_in_weights(gradient, rows_);
    at::Tensor into_rows = dispatch_.gradient_in_rows(gradient, weights_);
    if (gradient_.defined()) {
      into_weights.add_(dispatch_.gradient_in_weights(gradient_, memory[1]));
      into_rows.add_(dispatch_.gradient_in_rows(gradient_, memory[0]));
    }
    return {{into_weights, into_rows}, {}};
  }
  int64_t byte_length() const override { return bytes_of({weights_, rows_, gradient_}); }

 private:
  Dispatch dispatch_;
  at::Tensor weights_, rows_, gradient_;
};

}  // namespace

std::unique_ptr<Choice> route(const Router& router) { return std::make_unique<Route>(router); }
std::unique_ptr<Operation> combine(const Dispatch& dispatch) { return std::make_unique<Combine>(dispatch); }

}  // namespace critical_sharpness::curvature
