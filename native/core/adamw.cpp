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

  int64_t byte_length() const override { return 2 * model_->layout()->byte_length(); }

  kernels::Delta delta(size_t parameter, bool weight_decay) const override {
    return kernels::AdamWDelta{model_->parameter(parameter), (*m_)[parameter], (*v_)[parameter], constants(),
                               groups_.learning_rate_ratio[parameter], weight_decay ? groups_.weight_decay[parameter] : 0};
  }

 protected:
  void prepare_state(const Cancellation& cancel) override {
    if (m_) return;
    auto m = ParameterVector::zeros(model_->layout(), cancel), v = ParameterVector::zeros(model_->layout(), cancel);
    m_ = std::move(m);
    v_ = std::move(v);
  }

  void accumulate_parameters(size_t first, const std::vector<at::Tensor>& gradients, const Cancellation& ending) override {
    const auto part = [&](const ParameterVector& all) {
      const auto begin = all.tensors().begin() + static_cast<std::ptrdiff_t>(first);
      return kernels::TensorList(begin, begin + static_cast<std::ptrdiff_t>(gradients.size()));
    };
    kernels::adamw_accumulate(part(*m_), part(*v_), gradients, options_.beta1, options_.beta2, ending);
  }

  ParameterVector make_preconditioner(const Cancellation& cancel) const override {
    auto p = ParameterVector::empty(model_->layout());
    kernels::adamw_preconditioner(p.tensors(), v_->tensors(), constants(), groups_.learning_rate_ratio, cancel);
    return p;
  }

  OptimizerState share_state() const override {
    OptimizerState state;
    if (steps() == 0) return state;
    state["exp_avg"] = std::make_shared<ParameterVector>(*m_);
    state["exp_avg_sq"] = std::make_shared<ParameterVector>(*v_);
    return state;
  }

  void take_state(int64_t steps, const OptimizerState& state) override {
    if (steps > 0) {
      auto m = stored(state, "exp_avg"), v = stored(state, "exp_avg_sq");
      m_ = std::move(m);
      v_ = std::move(v);
    } else {
      m_.reset();
      v_.reset();
    }
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
