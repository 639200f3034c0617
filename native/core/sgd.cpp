#include <optional>

#include "kernels/optimize.hpp"
#include "optimizer.hpp"

namespace critical_sharpness {
namespace {

/// b ← μb + g; Δ = b, with Nesterov's g + μb, and γθ added: decay is decoupled from the momentum, so that Δ can be had
/// with and without it.
class Sgd final : public Optimizer {
 public:
  Sgd(std::shared_ptr<Model> model, ParameterGroups groups, SgdOptions options)
      : Optimizer(std::move(model), std::move(groups)), options_(options) {}

  std::shared_ptr<const ParameterVector> preconditioner() const override {
    require_gradient();
    auto p = ParameterVector::empty(model_->layout());
    for (size_t i = 0; i < p.size(); i++) at::Tensor(p[i]).fill_(1 / groups_.learning_rate_ratio[i]);
    return std::make_shared<ParameterVector>(std::move(p));
  }

  OptimizerState state() const override {
    OptimizerState state;
    if (buffer_) state["momentum"] = std::make_shared<ParameterVector>(buffer_->clone());
    if (options_.nesterov && gradient_) state["gradient"] = std::make_shared<ParameterVector>(gradient_->clone());
    return state;
  }

  void restore(int64_t steps, const OptimizerState& state) override {
    if (steps > 0) {
      auto buffer = stored(state, "momentum").clone();
      if (options_.nesterov) gradient_ = stored(state, "gradient").clone();
      buffer_ = std::move(buffer);
    } else {
      buffer_.reset();
      gradient_.reset();
    }
    steps_ = steps;
  }

  int64_t byte_length() const override {
    return options_.momentum == 0 ? 0 : model_->byte_length();
  }

 protected:
  void accumulate_state(const ParameterVector& gradient, int64_t) override {
    if (options_.nesterov) gradient_ = gradient;
    if (options_.momentum == 0) {
      buffer_ = gradient;  // shares the gradient's tensors: nobody writes to them
      return;
    }
    if (!buffer_) buffer_ = ParameterVector::zeros(model_->layout());
    kernels::momentum_accumulate(buffer_->tensors(), gradient.tensors(), options_.momentum);
  }

  void write_direction(std::vector<at::Tensor>& out, bool weight_decay) const override {
    const std::vector<double> none(groups_.weight_decay.size(), 0.0);
    std::vector<at::Tensor> weights;
    for (size_t i = 0; i < out.size(); i++) weights.push_back(model_->parameter(i));
    kernels::sgd_direction(out, weights, buffer_->tensors(), buffer_weight(), last_gradient(), gradient_weight(),
                           {groups_.learning_rate_ratio, weight_decay ? groups_.weight_decay : none});
  }

  void apply(std::vector<at::Tensor>& weights, double learning_rate) const override {
    kernels::sgd_step(weights, buffer_->tensors(), buffer_weight(), last_gradient(), gradient_weight(),
                      {groups_.learning_rate_ratio, groups_.weight_decay}, learning_rate);
  }

 private:
  double buffer_weight() const { return options_.nesterov ? options_.momentum : 1; }
  double gradient_weight() const { return options_.nesterov ? 1 : 0; }
  std::vector<at::Tensor> last_gradient() const {
    return options_.nesterov ? gradient_->tensors() : std::vector<at::Tensor>(model_->layout()->size());
  }

  SgdOptions options_;
  std::optional<ParameterVector> buffer_, gradient_;
};

}  // namespace

std::unique_ptr<Optimizer> make_sgd(std::shared_ptr<Model> model, ParameterGroups groups, SgdOptions options) {
  return std::make_unique<Sgd>(std::move(model), std::move(groups), options);
}

}  // namespace critical_sharpness
