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

/// Accumulates gradients into state; the update direction Δ, its preconditioner and the step θ ← θ − ηΔ follow from
/// that state and the weights. All members but `steps` run on the compute thread.
class Optimizer {
 public:
  Optimizer(std::shared_ptr<Model> model, ParameterGroups groups);
  virtual ~Optimizer() = default;

  int64_t steps() const { return steps_.load(); }
  const std::shared_ptr<Model>& model() const { return model_; }

  void accumulate(const ParameterVector& gradient);
  /// Δ, scaled by each parameter's learning-rate ratio. Throws ERR_NO_GRADIENT before the first accumulate().
  std::shared_ptr<const ParameterVector> direction(bool weight_decay) const;
  /// Diagonal P with Δ = P⁻¹·momentum where no decay is in Δ.
  virtual std::shared_ptr<const ParameterVector> preconditioner() const = 0;
  void step(double learning_rate);
  /// Copies of the state tensors by role.
  virtual OptimizerState state() const = 0;
  virtual void restore(int64_t steps, const OptimizerState& state) = 0;
  /// Bytes of state.
  virtual int64_t byte_length() const = 0;

 protected:
  virtual void accumulate_state(const ParameterVector& gradient, int64_t step) = 0;
  /// Writes Δ of every parameter (into `out`, or straight into the weights as θ − ηΔ).
  virtual void write_direction(std::vector<at::Tensor>& out, bool weight_decay) const = 0;
  virtual void apply(std::vector<at::Tensor>& weights, double learning_rate) const = 0;
  void require_gradient() const;
  const ParameterVector& stored(const OptimizerState& state, const std::string& role) const;

  std::shared_ptr<Model> model_;
  ParameterGroups groups_;
  std::atomic<int64_t> steps_{0};
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
