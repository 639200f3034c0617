#pragma once
#include <ATen/core/Tensor.h>

#include <map>
#include <string>
#include <variant>
#include <vector>

#include "kernels/formula.hpp"

namespace critical_sharpness::update {

/// A rule's options by name, as the caller gave them. What reads one checks it and throws for "options.<name>".
class RuleOptions {
 public:
  using Value = std::variant<std::monostate, bool, double>;  // the first: neither of the others
  RuleOptions() = default;
  explicit RuleOptions(std::map<std::string, Value> values) : values_(std::move(values)) {}
  /// In [0, 1).
  double fraction(const std::string& name) const;
  double nonnegative(const std::string& name) const;
  double number(const std::string& name) const;
  bool flag(const std::string& name) const;

 private:
  const Value* find(const std::string& name) const;
  std::map<std::string, Value> values_;
};

/// One of the tensors that a rule keeps of a parameter.
struct Role {
  std::string name;  // in state files
  /// The last gradient: it shares that one's tensor, and takes no memory of its own. Undefined: zeros.
  bool is_gradient = false;
};

/// A parameter's state, by role.
using State = std::vector<at::Tensor>;

/// A parameter's part of Δ is to be scaled by its learning rate over the optimizer's, with γθ in it.
struct Group {
  double learning_rate_ratio, weight_decay;
};

/// An update rule: how a parameter's gradients become its part of Δ. It knows its options alone; the Optimizer holds the states
/// and may have one rule for some of its parameters and another for the rest.
class Rule {
 public:
  virtual ~Rule() = default;
  /// Of one parameter's state, in its order.
  virtual std::vector<Role> roles() const = 0;
  /// Takes gradients, contiguous, into the states of as many parameters. A role that is the gradient is there already. An
  /// undefined gradient is zeros. One that is cancelled leaves states changed in part.
  virtual void accumulate(const std::vector<State>& states, const std::vector<at::Tensor>& gradients,
                          const Cancellation& cancel) const = 0;
  /// Δ after so many gradients, made of the state and θ wherever it is read.
  virtual kernels::Delta delta(const State& state, const at::Tensor& weight, int64_t steps, const Group& group) const = 0;
  /// Whether each number of Δ depends on that number's state alone.
  virtual bool is_elementwise() const { return true; }
  /// Whether Δ = P⁻¹·momentum with a diagonal P, decay aside.
  virtual bool has_metric() const = 0;
  /// outᵢ = P of the i-th parameter, over its learning-rate ratio. Only where there is one.
  virtual void write_metric(const std::vector<at::Tensor>& out, const std::vector<State>& states, int64_t steps,
                            const std::vector<Group>& groups, const Cancellation& cancel) const = 0;
};

/// A rule whose every number is its own formula's: `Self` has the formula, and its constants for each function of it.
template <class Self>
class ElementwiseRule : public Rule {
 public:
  void accumulate(const std::vector<State>& states, const std::vector<at::Tensor>& gradients,
                  const Cancellation& cancel) const override {
    if (!self().accumulates()) return;
    kernels::accumulate(kernels::formula<Self>(), {column(states, 0), column(states, 1)}, gradients,
                        self().accumulate_constants(), cancel);
  }
  kernels::Delta delta(const State& state, const at::Tensor& weight, int64_t steps, const Group& group) const override {
    return kernels::FormulaDelta{&kernels::formula<Self>(), weight, at(state, 0), at(state, 1), self().delta_constants(steps),
                                 group.learning_rate_ratio, group.weight_decay};
  }
  bool has_metric() const override { return Self::has_metric; }
  void write_metric(const std::vector<at::Tensor>& out, const std::vector<State>& states, int64_t steps,
                    const std::vector<Group>& groups, const Cancellation& cancel) const override {
    std::vector<double> ratios;
    for (const auto& group : groups) ratios.push_back(group.learning_rate_ratio);
    kernels::write_metric(kernels::formula<Self>(), out, {column(states, 0), column(states, 1)}, self().delta_constants(steps),
                          ratios, cancel);
  }
  /// Whether a gradient changes more than the roles that are the gradient itself.
  bool accumulates() const { return true; }

 private:
  const Self& self() const { return static_cast<const Self&>(*this); }
  static at::Tensor at(const State& state, size_t role) { return role < state.size() ? state[role] : at::Tensor(); }
  static kernels::TensorList column(const std::vector<State>& states, size_t role) {
    kernels::TensorList all;
    for (const auto& state : states) all.push_back(at(state, role));
    return all;
  }
};

}  // namespace critical_sharpness::update
