#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "model.hpp"

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

/// Accumulates gradients into state; the update direction Δ, its preconditioner and the step θ ← θ − ηΔ follow from
/// that state and the weights. All members but `steps` run on the compute thread.
class Optimizer {
 public:
  Optimizer(std::shared_ptr<Model> model, ParameterGroups groups);
  virtual ~Optimizer() = default;

  int64_t steps() const { return steps_.load(); }
  const std::shared_ptr<Model>& model() const { return model_; }
  /// Counts changes of the state.
  uint64_t version() const { return version_; }

  /// `cancel` stops it before anything changes, `ending` at any moment: what is left then is refused.
  void accumulate(const ParameterVector& gradient, const Cancellation& cancel = {}, const Cancellation& ending = {});
  /// As `accumulate` of the batch's gradient, with the same bits, but each parameter's part goes into the state as soon as it
  /// is whole: with one micro-batch, no gradient is ever held. One that is interrupted half-way leaves a state that only
  /// `restore` can mend. `weight_decay`: of the Δ in `slopes`. Throws ERR_NON_FINITE_LOSS before anything is changed.
  AccumulatedGradient accumulate_from(const Batch& batch, const PassOptions& options, bool weight_decay);
  /// Δ, scaled by each parameter's learning-rate ratio. Throws ERR_NO_GRADIENT before the first accumulate().
  std::shared_ptr<const ParameterVector> direction(bool weight_decay, const Cancellation& cancel = {}) const;
  /// Diagonal P with Δ = P⁻¹·momentum where no decay is in Δ.
  std::shared_ptr<const ParameterVector> preconditioner(const Cancellation& cancel = {}) const;
  /// `cancel` stops it before anything changes, `ending` at any moment: the model has no weights then.
  void step(double learning_rate, const Cancellation& cancel = {}, const Cancellation& ending = {});
  /// The state tensors by role: its own memory, which changes with the state.
  OptimizerState state() const;
  /// Takes these tensors for its own.
  void restore(int64_t steps, const OptimizerState& state);
  /// Bytes of state.
  virtual int64_t byte_length() const = 0;

  /// A parameter's part of Δ, as kernels make it of state and weights.
  virtual kernels::Delta delta(size_t parameter, bool weight_decay) const = 0;
  /// Throws ERR_NO_GRADIENT, or ERR_OPTIMIZER_STATE after one that was interrupted.
  void require_gradient() const;

 protected:
  /// Memory for the state, where there is none yet.
  virtual void prepare_state(const Cancellation& cancel) = 0;
  /// Takes the gradients of the parameters from `first` on, contiguous; undefined: zeros.
  virtual void accumulate_parameters(size_t first, const std::vector<at::Tensor>& gradients, const Cancellation& ending) = 0;
  virtual ParameterVector make_preconditioner(const Cancellation& cancel) const = 0;
  virtual OptimizerState share_state() const = 0;
  virtual void take_state(int64_t steps, const OptimizerState& state) = 0;
  const ParameterVector& stored(const OptimizerState& state, const std::string& role) const;

  std::shared_ptr<Model> model_;
  ParameterGroups groups_;
  std::atomic<int64_t> steps_{0};

 private:
  void require_whole_state() const;
  std::vector<kernels::Delta> deltas(bool weight_decay) const;
  uint64_t version_ = 0;
  bool torn_ = false;
};

struct SgdOptions {
  double momentum = 0;
  bool nesterov = false;
};
struct AdamWOptions {
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
};
std::unique_ptr<Optimizer> make_sgd(std::shared_ptr<Model> model, ParameterGroups groups, SgdOptions options);
std::unique_ptr<Optimizer> make_adamw(std::shared_ptr<Model> model, ParameterGroups groups, AdamWOptions options);

}  // namespace critical_sharpness
