#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "model.hpp"
#include "update/rule.hpp"

namespace critical_sharpness {

/// For each parameter: its learning rate over the optimizer's, and its decoupled weight decay γ.
struct ParameterGroups {
  std::vector<double> learning_rate_ratio;
  std::vector<double> weight_decay;
};

using OptimizerState = std::map<std::string, std::shared_ptr<const ParameterVector>>;

/// What is known of a gradient that went into a state and was not kept.
struct AccumulatedGradient {
  LossResult loss;
  double norm = 0;
  /// For each parameter, its part of ∇L·Δ, where Δ is that of the state with the gradient in it.
  std::vector<double> slopes;
};

/// Which rule makes which parameter's part of Δ.
struct Rules {
  std::vector<std::shared_ptr<const update::Rule>> rules;
  std::vector<size_t> of;  // for each parameter, its rule's place
};

/// Accumulates gradients into state; the update direction Δ, its preconditioner and the step θ ← θ − ηΔ follow from
/// that state and the weights. How, its rules say. All members but `steps` and `roles` run on the compute thread.
class Optimizer {
 public:
  Optimizer(std::shared_ptr<Model> model, ParameterGroups groups, Rules rules);
  /// One rule for all parameters.
  Optimizer(std::shared_ptr<Model> model, const ParameterGroups& groups, std::shared_ptr<const update::Rule> rule);

  int64_t steps() const { return steps_.load(); }
  const std::shared_ptr<Model>& model() const { return model_; }
  /// Counts changes of the state.
  uint64_t version() const { return version_; }
  /// Of a parameter's state tensors.
  std::vector<update::Role> roles(size_t parameter) const {
    return is_trainable(parameter) ? rule(parameter).roles() : std::vector<update::Role>();
  }

  /// `cancel` stops it before anything changes, `ending` at any moment: what is left then is refused.
  void accumulate(const ParameterVector& gradient, const Cancellation& cancel = {}, const Cancellation& ending = {});
  /// As `accumulate` of the batch's gradient, with the same bits, but each parameter's part goes into the state as soon as it
  /// is whole: with one micro-batch, no gradient is ever held. One that is interrupted half-way leaves a state that only
  /// `restore` can mend. `weight_decay`: of the Δ in `slopes`. Throws ERR_NON_FINITE_LOSS before anything is changed.
  AccumulatedGradient accumulate_from(const Batch& batch, const PassOptions& options, bool weight_decay);
  /// Δ, scaled by each parameter's learning-rate ratio. Throws ERR_NO_GRADIENT before the first accumulate().
  std::shared_ptr<const ParameterVector> direction(bool weight_decay, const Cancellation& cancel = {}) const;
  /// Diagonal P with Δ = P⁻¹·momentum where no decay is in Δ. Throws ERR_NO_METRIC where a rule has none.
  std::shared_ptr<const ParameterVector> preconditioner(const Cancellation& cancel = {}) const;
  /// `cancel` stops it before anything changes, `ending` at any moment: the model has no weights then.
  void step(double learning_rate, const Cancellation& cancel = {}, const Cancellation& ending = {});
  /// The state tensors by role: its own memory, which changes with the state. A parameter without a role has none there.
  OptimizerState state() const;
  /// Takes these tensors for its own. Throws ERR_OPTIMIZER_STATE, with the state as it was, where one is missing.
  void restore(int64_t steps, const OptimizerState& state);
  /// Bytes of state.
  int64_t byte_length() const;

  /// A parameter's part of Δ, as kernels make it of state and weights.
  kernels::Delta delta(size_t parameter, bool weight_decay) const;
  /// Throws ERR_NO_GRADIENT, or ERR_OPTIMIZER_STATE after one that was interrupted.
  void require_gradient() const;

 private:
  bool is_trainable(size_t parameter) const { return model_->layout()->is_trainable(parameter); }
  const update::Rule& rule(size_t parameter) const { return *rules_.rules[rules_.of[parameter]]; }
  /// Calls body(rule, its trainable parameters among [first, first + count)) for every rule that has some there.
  template <class Body>
  void for_each_rule(size_t first, size_t count, const Body& body) const;
  std::vector<update::State> states_of(const std::vector<size_t>& parameters) const;
  /// What a parameter's role is before its first gradient.
  at::Tensor first_state(size_t parameter, const update::Role& role, const Cancellation& cancel) const;
  /// Memory for the state, where there is none yet.
  void prepare_state(const Cancellation& cancel);
  /// Takes the gradients of the parameters from `first` on, contiguous; undefined: zeros.
  void accumulate_parameters(size_t first, const std::vector<at::Tensor>& gradients, const Cancellation& ending);
  void require_whole_state() const;
  std::vector<kernels::Delta> deltas(bool weight_decay) const;

  std::shared_ptr<Model> model_;
  ParameterGroups groups_;
  Rules rules_;
  std::vector<update::State> states_;  // of each parameter; empty before the first gradient
  std::atomic<int64_t> steps_{0};
  uint64_t version_ = 0;
  bool torn_ = false;
};

}  // namespace critical_sharpness
