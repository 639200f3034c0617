#include "optimizer.hpp"

#include "errors.hpp"

namespace critical_sharpness {

Optimizer::Optimizer(std::shared_ptr<Model> model, ParameterGroups groups) : model_(std::move(model)), groups_(std::move(groups)) {
  if (groups_.learning_rate_ratio.size() != model_->layout()->size() || groups_.weight_decay.size() != model_->layout()->size())
    reject_range("Expected one learning-rate ratio and one weight decay for each of the model's " +
                 std::to_string(model_->layout()->size()) + " parameters but received another number");
}

void Optimizer::accumulate(const ParameterVector& gradient) {
  require_same_layout(*model_->layout(), *gradient.layout(), "the gradient");
  accumulate_state(gradient, steps_ + 1);
  steps_++;
}

void Optimizer::require_gradient() const {
  if (steps_ == 0)
    throw InputError(InputError::Kind::state, "ERR_NO_GRADIENT", "Expected a gradient, taken in by accumulate, for the optimizer's direction but received none");
}

std::shared_ptr<const ParameterVector> Optimizer::direction(bool weight_decay) const {
  require_gradient();
  auto out = ParameterVector::empty(model_->layout());
  auto tensors = out.tensors();
  write_direction(tensors, weight_decay);
  return std::make_shared<ParameterVector>(std::move(out));
}

void Optimizer::step(double learning_rate) {
  require_gradient();
  apply(model_->weights_to_change(), learning_rate);
}

const ParameterVector& Optimizer::stored(const OptimizerState& state, const std::string& role) const {
  const auto found = state.find(role);
  if (found == state.end() || !found->second)
    throw InputError(InputError::Kind::range, "ERR_OPTIMIZER_STATE", "Expected \"" + role + "\" in the optimizer's state but received a state without it");
  require_same_layout(*model_->layout(), *found->second->layout(), "the optimizer's state");
  return *found->second;
}

}  // namespace critical_sharpness
