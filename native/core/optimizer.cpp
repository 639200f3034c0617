#include "optimizer.hpp"

#include <cmath>
#include <numeric>

#include "errors.hpp"
#include "kernels/formula.hpp"
#include "ranks/group.hpp"
#include "ranks/sums.hpp"
#include "stretches.hpp"

namespace critical_sharpness {

Optimizer::Optimizer(std::shared_ptr<Model> model, ParameterGroups groups, Rules rules)
    : model_(std::move(model)), groups_(std::move(groups)), rules_(std::move(rules)) {
  if (groups_.learning_rate_ratio.size() != model_->layout()->size() || groups_.weight_decay.size() != model_->layout()->size())
    reject_range("Expected one learning-rate ratio and one weight decay for each of the model's " +
                 std::to_string(model_->layout()->size()) + " parameters but received another number");
  const Layout& layout = *model_->layout();
  TORCH_INTERNAL_ASSERT(rules_.of.size() == layout.size());
  for (size_t i = 0; i < layout.size(); i++)
    if (!layout.is_whole(i) && is_trainable(i) && !rule(i).is_elementwise())
      reject_range("Expected an update rule that treats every number by itself for \"" + layout.parameters[i].name + "\" of a model over " +
                   std::to_string(layout.group->size()) + " ranks but received one that makes Δ of whole matrices");
}

Optimizer::Optimizer(std::shared_ptr<Model> model, const ParameterGroups& groups, std::shared_ptr<const update::Rule> rule)
    : Optimizer(model, groups, Rules{{std::move(rule)}, std::vector<size_t>(model->layout()->size(), 0)}) {}

template <class Body>
void Optimizer::for_each_rule(size_t first, size_t count, const Body& body) const {
  for (size_t r = 0; r < rules_.rules.size(); r++) {
    std::vector<size_t> parameters;
    for (size_t i = first; i < first + count; i++)
      if (rules_.of[i] == r && is_trainable(i)) parameters.push_back(i);
    if (!parameters.empty()) body(*rules_.rules[r], parameters);
  }
}

std::vector<update::State> Optimizer::states_of(const std::vector<size_t>& parameters) const {
  std::vector<update::State> all;
  for (const size_t i : parameters) all.push_back(states_[i]);
  return all;
}

at::Tensor Optimizer::first_state(size_t parameter, const update::Role& role, const Cancellation& cancel) const {
  const Layout& layout = *model_->layout();
  return role.is_gradient ? at::Tensor() : zeros(layout.local_shape(parameter), layout.options(), cancel);
}

void Optimizer::prepare_state(const Cancellation& cancel) {
  if (!states_.empty()) return;
  std::vector<update::State> states(model_->layout()->size());
  for (size_t i = 0; i < states.size(); i++)
    for (const auto& role : roles(i)) states[i].push_back(first_state(i, role, cancel));
  states_ = std::move(states);
}

void Optimizer::accumulate_parameters(size_t first, const std::vector<at::Tensor>& gradients, const Cancellation& ending) {
  for_each_rule(first, gradients.size(), [&](const update::Rule& rule, const std::vector<size_t>& parameters) {
    const auto roles = rule.roles();
    std::vector<at::Tensor> own;
    for (const size_t i : parameters) {
      own.push_back(gradients[i - first]);
      // It shares the gradient's tensor: nobody writes to it.
      for (size_t r = 0; r < roles.size(); r++)
        if (roles[r].is_gradient) states_[i][r] = own.back();
    }
    rule.accumulate(states_of(parameters), own, ending);
  });
}

int64_t Optimizer::byte_length() const {
  const auto element = static_cast<int64_t>(c10::elementSize(model_->layout()->dtype));
  int64_t bytes = 0;
  for (size_t i = 0; i < model_->layout()->size(); i++)
    for (const auto& role : roles(i))
      if (!role.is_gradient) bytes += model_->layout()->local_numel(i) * element;
  return bytes;
}

kernels::Delta Optimizer::delta(size_t parameter, bool weight_decay) const {
  if (!is_trainable(parameter)) return {};
  return rule(parameter).delta(states_[parameter], model_->parameter(parameter), steps(),
                               {groups_.learning_rate_ratio[parameter], weight_decay ? groups_.weight_decay[parameter] : 0});
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
  // One rank alone must not leave what the others are in: they ask each other in the pass.
  const Cancellation here = model_->layout()->group ? Cancellation() : options.cancel;
  prepare_state(here);
  AccumulatedGradient result;
  Sums sums(*model_->layout(), 2);  // ‖∇L‖² and ∇L·Δ
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
    accumulate_parameters(i, {gradient}, here);
    if (!gradient.defined()) return;
    const kernels::Delta part = kernels::StoredDelta{gradient};
    sums.add(i, {part, part}, {part, delta(i, weight_decay)}, here);
  };
  try {
    result.loss = model_->differentiate(batch, options, sink);
  } catch (...) {
    if (torn_) steps_--;
    throw;
  }
  torn_ = false;
  auto totals = sums.totals();
  const double squares = std::accumulate(totals[0].begin(), totals[0].end(), 0.0);
  result.slopes = std::move(totals[1]);
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
  for (const auto& rule : rules_.rules)
    if (!rule->has_metric())
      throw InputError(InputError::Kind::state, "ERR_NO_METRIC",
                       "Expected an update rule with a diagonal preconditioner P, Δ = P⁻¹·momentum, for the optimizer's preconditioner "
                       "but received one without: look at the Hessian itself");
  auto p = std::make_shared<ParameterVector>(ParameterVector::empty(model_->layout()));
  for_each_rule(0, p->size(), [&](const update::Rule& rule, const std::vector<size_t>& parameters) {
    std::vector<at::Tensor> out;
    std::vector<update::Group> groups;
    for (const size_t i : parameters) {
      out.push_back((*p)[i]);
      groups.push_back({groups_.learning_rate_ratio[i], 0});
    }
    rule.write_metric(out, states_of(parameters), steps(), groups, cancel);
  });
  return p;
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
  std::map<std::string, std::vector<at::Tensor>> tensors;
  if (steps() > 0)
    for (size_t i = 0; i < states_.size(); i++) {
      const auto own = roles(i);
      for (size_t r = 0; r < own.size(); r++) {
        auto& all = tensors[own[r].name];
        all.resize(states_.size());
        all[i] = states_[i][r];
      }
    }
  OptimizerState state;
  for (auto& [role, all] : tensors) state[role] = std::make_shared<ParameterVector>(model_->layout(), std::move(all));
  return state;
}

void Optimizer::restore(int64_t steps, const OptimizerState& state) {
  for (const auto& [role, vector] : state) require_same_layout(*model_->layout(), *vector->layout(), "the optimizer's state");
  std::vector<update::State> states;
  for (size_t i = 0; steps > 0 && i < model_->layout()->size(); i++) {
    update::State own;
    for (const auto& role : roles(i)) {
      const auto found = state.find(role.name);
      if (found == state.end())
        throw InputError(InputError::Kind::range, "ERR_OPTIMIZER_STATE",
                         "Expected \"" + role.name + "\" in the optimizer's state but received a state without it");
      const at::Tensor& given = (*found->second)[i];
      own.push_back(given.defined() ? given : first_state(i, role, {}));
    }
    states.push_back(std::move(own));
  }
  states_ = std::move(states);
  version_++;
  steps_ = steps;
  torn_ = false;
}

}  // namespace critical_sharpness
