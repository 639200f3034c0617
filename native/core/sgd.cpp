#include <algorithm>

#include "kernels/optimize.hpp"
#include "optimizer.hpp"
#include "stretches.hpp"

namespace critical_sharpness {
namespace {

/// b ← μb + g; Δ = b, with Nesterov's g + μb, and γθ added: decay is decoupled from the momentum, so that Δ can be had
/// with and without it.
class Sgd final : public Optimizer {
 public:
  Sgd(std::shared_ptr<Model> model, ParameterGroups groups, SgdOptions options)
      : Optimizer(std::move(model), std::move(groups)), options_(options) {}

  int64_t byte_length() const override { return options_.momentum == 0 ? 0 : model_->layout()->byte_length(); }

  kernels::Delta delta(size_t parameter, bool weight_decay) const override {
    return kernels::SgdDelta{model_->parameter(parameter),     buffer_[parameter],
                             buffer_weight(),                  last_gradient()[parameter],
                             gradient_weight(),                groups_.learning_rate_ratio[parameter],
                             weight_decay ? groups_.weight_decay[parameter] : 0};
  }

 protected:
  void prepare_state(const Cancellation& cancel) override {
    if (!buffer_.empty()) return;
    buffer_ = options_.momentum == 0 ? none_ : ParameterVector::zeros(model_->layout(), cancel).tensors();
    if (options_.nesterov) gradient_ = none_;
  }

  void accumulate_parameters(size_t first, const std::vector<at::Tensor>& gradients, const Cancellation& ending) override {
    const auto at = static_cast<std::ptrdiff_t>(first), count = static_cast<std::ptrdiff_t>(gradients.size());
    if (options_.nesterov) std::copy(gradients.begin(), gradients.end(), gradient_.begin() + at);
    // Without momentum it shares the gradient's tensors: nobody writes to them.
    if (options_.momentum == 0) std::copy(gradients.begin(), gradients.end(), buffer_.begin() + at);
    else kernels::momentum_accumulate(Tensors(buffer_.begin() + at, buffer_.begin() + at + count), gradients,
                                      options_.momentum, ending);
  }

  ParameterVector make_preconditioner(const Cancellation& cancel) const override {
    auto p = ParameterVector::empty(model_->layout());
    for (size_t i = 0; i < p.size(); i++)
      in_stretches(p[i].numel(), cancel, [&](int64_t start, int64_t length) {
        stretch(p[i], start, length).fill_(1 / groups_.learning_rate_ratio[i]);
      });
    return p;
  }

  OptimizerState share_state() const override {
    OptimizerState state;
    if (steps() == 0) return state;
    const auto share = [&](const Tensors& tensors) { return std::make_shared<ParameterVector>(model_->layout(), tensors); };
    state["momentum"] = share(buffer_);
    if (options_.nesterov) state["gradient"] = share(gradient_);
    return state;
  }

  void take_state(int64_t steps, const OptimizerState& state) override {
    Tensors buffer, gradient;
    if (steps > 0) {
      buffer = stored(state, "momentum").tensors();
      if (options_.nesterov) gradient = stored(state, "gradient").tensors();
    }
    buffer_ = std::move(buffer);
    gradient_ = std::move(gradient);
  }

 private:
  using Tensors = std::vector<at::Tensor>;
  double buffer_weight() const { return options_.nesterov ? options_.momentum : 1; }
  double gradient_weight() const { return options_.nesterov ? 1 : 0; }
  const Tensors& last_gradient() const { return options_.nesterov ? gradient_ : none_; }

  SgdOptions options_;
  const Tensors none_ = Tensors(model_->layout()->size());
  Tensors buffer_, gradient_;  // empty before the first gradient
};

}  // namespace

std::unique_ptr<Optimizer> make_sgd(std::shared_ptr<Model> model, ParameterGroups groups, SgdOptions options) {
  return std::make_unique<Sgd>(std::move(model), std::move(groups), options);
}

}  // namespace critical_sharpness
