#include <cmath>
#include <optional>

#include "kernels/optimize.hpp"
#include "optimizer.hpp"

namespace critical_sharpness {
namespace {

/// AdamW (Loshchilov & Hutter 2019): Δ = m / ((1 − β₁ᵗ)(√v̂ + ε)) + γθ with v̂ = v/(1 − β₂ᵗ).
class AdamW final : public Optimizer {
 public:
  AdamW(std::shared_ptr<Model> model, ParameterGroups groups, AdamWOptions options)
      : Optimizer(std::move(model), std::move(groups)), options_(options) {}

  std::shared_ptr<const ParameterVector> preconditioner() const override {
    require_gradient();
    auto p = ParameterVector::empty(model_->layout());
    kernels::adamw_preconditioner(p.tensors(), v_->tensors(), constants(), {groups_.learning_rate_ratio, groups_.weight_decay});
    return std::make_shared<ParameterVector>(std::move(p));
  }

  OptimizerState state() const override {
    OptimizerState state;
    if (m_) {
      state["exp_avg"] = std::make_shared<ParameterVector>(m_->clone());
      state["exp_avg_sq"] = std::make_shared<ParameterVector>(v_->clone());
    }
    return state;
  }

  void restore(int64_t steps, const OptimizerState& state) override {
    if (steps > 0) {
      auto m = stored(state, "exp_avg").clone(), v = stored(state, "exp_avg_sq").clone();
      m_ = std::move(m);
      v_ = std::move(v);
    } else {
      m_.reset();
      v_.reset();
    }
    steps_ = steps;
  }

  int64_t byte_length() const override { return 2 * model_->byte_length(); }

 protected:
  void accumulate_state(const ParameterVector& gradient, int64_t) override {
    if (!m_) {
      auto m = ParameterVector::zeros(model_->layout()), v = ParameterVector::zeros(model_->layout());
      m_ = std::move(m);
      v_ = std::move(v);
    }
    kernels::adamw_accumulate(m_->tensors(), v_->tensors(), gradient.tensors(), options_.beta1, options_.beta2);
  }

  void write_direction(std::vector<at::Tensor>& out, bool weight_decay) const override {
    const std::vector<double> none(groups_.weight_decay.size(), 0.0);
    std::vector<at::Tensor> weights;
    for (size_t i = 0; i < out.size(); i++) weights.push_back(model_->parameter(i));
    kernels::adamw_direction(out, weights, m_->tensors(), v_->tensors(), constants(),
                             {groups_.learning_rate_ratio, weight_decay ? groups_.weight_decay : none});
  }

  void apply(std::vector<at::Tensor>& weights, double learning_rate) const override {
    kernels::adamw_step(weights, m_->tensors(), v_->tensors(), constants(),
                        {groups_.learning_rate_ratio, groups_.weight_decay}, learning_rate);
  }

 private:
  kernels::AdamWConstants constants() const {
    const auto t = static_cast<double>(steps());
    return {1 - std::pow(options_.beta1, t), 1 - std::pow(options_.beta2, t), options_.epsilon};
  }

  AdamWOptions options_;
  std::optional<ParameterVector> m_, v_;
};

}  // namespace

std::unique_ptr<Optimizer> make_adamw(std::shared_ptr<Model> model, ParameterGroups groups, AdamWOptions options) {
  return std::make_unique<AdamW>(std::move(model), std::move(groups), options);
}

}  // namespace critical_sharpness
