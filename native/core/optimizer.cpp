#include "optimizer.hpp"

#include <ATen/ops/zeros.h>

#include <cmath>

#include "errors.hpp"
#include "kernels/optimize.hpp"
#include "kernels/reduce.hpp"

namespace critical_sharpness {

Optimizer::Optimizer(std::shared_ptr<Model> model, ParameterGroups groups) : model_(std::move(model)), groups_(std::move(groups)) {
  if (groups_.learning_rate_ratio.size() != model_->layout()->size() || groups_.weight_decay.size() != model_->layout()->size())
    reject_range("Expected one learning-rate ratio and one weight decay for each of the model's " +
                 std::to_string(model_->layout()->size()) + " parameters but received another number");
}

void Optimizer::require_whole_state() const {
  if (torn_)
    throw InputError(InputError::Kind::state, "ERR_OPTIMIZER_STATE",
                     "Expected a whole state for the optimizer but received one that an interrupted gradient left half-way: "
                     "load a state or make a new optimizer");
}

void Optimizer::require_gradient() const {
  require_whole_state();
  if (steps_ == 0)
    throw InputError(InputError::Kind::state, "ERR_NO_GRADIENT", "Expected a gradient, taken in by accumulate, for the optimizer's direction but received none");
}

void Optimizer::accumulate(const ParameterVector& gradient, const Cancellation& cancel, const Cancellation& ending) {
  require_whole_state();
  require_same_layout(*model_->layout(), *gradient.layout(), "the gradient");
  prepare_state(cancel);
  cancel.check();
  version_++;
  torn_ = true;
  accumulate_parameters(0, gradient.tensors(), ending);
  torn_ = false;
  steps_++;
}

AccumulatedGradient Optimizer::accumulate_from(const Batch& batch, const PassOptions& options, bool weight_decay) {
  require_whole_state();
  prepare_state(options.cancel);
  AccumulatedGradient result;
  // Of each parameter ‖∇L‖² and ∇L·Δ, left where they were computed until all are there.
  std::vector<at::Tensor> sums(model_->layout()->size());
  GradientSink sink;
  sink.begin = [&](double loss) {
    if (!std::isfinite(loss))
      throw InputError(InputError::Kind::state, "ERR_NON_FINITE_LOSS",
                       std::string("Expected a finite loss for the batch but received ") +
                           (std::isnan(loss) ? "NaN" : loss > 0 ? "Infinity" : "-Infinity"));
    // Δ is that of the state to be, from the first parameter on.
    version_++;
    steps_++;
    torn_ = true;
  };
  sink.take = [&](size_t i, const at::Tensor& gradient) {
    accumulate_parameters(i, {gradient}, options.cancel);
    if (!gradient.defined()) return;
    const kernels::Delta part = kernels::StoredDelta{gradient};
    sums[i] = kernels::dots({part, part}, {part, delta(i, weight_decay)}, options.cancel);
  };
  try {
    result.loss = model_->differentiate(batch, options, sink);
  } catch (...) {
    if (torn_) steps_--;
    throw;
  }
  torn_ = false;
  double squares = 0;
  for (auto& sum : sums) {
    const at::Tensor here = sum.defined() ? sum.to(at::kCPU) : at::zeros({2}, at::kDouble);
    squares += here.const_data_ptr<double>()[0];
    result.slopes.push_back(here.const_data_ptr<double>()[1]);
  }
  result.norm = std::sqrt(squares);
  return result;
}

std::vector<kernels::Delta> Optimizer::deltas(bool weight_decay) const {
  std::vector<kernels::Delta> all;
  for (size_t i = 0; i < model_->layout()->size(); i++) all.push_back(delta(i, weight_decay));
  return all;
}

std::shared_ptr<const ParameterVector> Optimizer::direction(bool weight_decay, const Cancellation& cancel) const {
  require_gradient();
  auto out = std::make_shared<ParameterVector>(ParameterVector::empty(model_->layout()));
  kernels::write(out->tensors(), deltas(weight_decay), cancel);
  return out;
}

std::shared_ptr<const ParameterVector> Optimizer::preconditioner(const Cancellation& cancel) const {
  require_gradient();
  return std::make_shared<ParameterVector>(make_preconditioner(cancel));
}

void Optimizer::step(double learning_rate, const Cancellation& cancel, const Cancellation& ending) {
  require_gradient();
  cancel.check();
  model_->weights_to_change();
  try {
    kernels::step(deltas(true), learning_rate, ending);
  } catch (const Cancelled&) {
    model_->lose_weights();
    throw;
  }
}

OptimizerState Optimizer::state() const {
  require_whole_state();
  return share_state();
}

void Optimizer::restore(int64_t steps, const OptimizerState& state) {
  take_state(steps, state);
  version_++;
  steps_ = steps;
  torn_ = false;
}

const ParameterVector& Optimizer::stored(const OptimizerState& state, const std::string& role) const {
  const auto found = state.find(role);
  if (found == state.end() || !found->second)
    throw InputError(InputError::Kind::range, "ERR_OPTIMIZER_STATE", "Expected \"" + role + "\" in the optimizer's state but received a state without it");
  require_same_layout(*model_->layout(), *found->second->layout(), "the optimizer's state");
  return *found->second;
}

}  // namespace critical_sharpness
