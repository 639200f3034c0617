#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "batch.hpp"
#include "cancellation.hpp"
#include "layout.hpp"
#include "parameter_view.hpp"

namespace critical_sharpness {

namespace curvature {
class Linearization;
struct LinearizationOptions;
}  // namespace curvature

/// How one parameter starts: N(0, deviation²), U(−bound, bound) or a constant.
struct InitialValue {
  enum class Kind { constant, normal, uniform } kind = Kind::constant;
  double value = 0;
};

/// What a gradient is taken with.
struct Differentiation {
  ParameterView& plain;           // θ, for what has derivatives in closed form
  ParameterView& differentiable;  // θ, as leaves of autograd's graph
  double scale = 1;               // of every derivative
  /// Whether a parameter's derivatives are wanted.
  std::function<bool(size_t parameter)> wanted;
  /// Takes one in closed form, to be added up.
  std::function<void(size_t parameter, const at::Tensor&)> add;
  Cancellation cancel;
};

/// A loss whose gradient is still to be taken.
struct PendingGradient {
  at::Tensor sum;                  // as of `Network::losses`
  std::function<void()> backward;  // adds scale·∂sum/∂θ to the gradients of the leaves
};

/// A network without weights: what its parameters are, and how a loss reads them through a view. The loss of a batch is the sum
/// of its rows' terms, or an objective of them, over `normalizer`; both may be taken of parts of its rows, and added up.
class Network {
 public:
  virtual ~Network() = default;
  virtual std::vector<ParameterSpec> parameters() const = 0;
  /// Of a network whose pass is an embedding, segments and a head: the parameters that each of these reads, in this order. The
  /// head may read the embedding's, too. Empty: the pass has other parts.
  virtual std::vector<std::vector<size_t>> blocks() const { return {}; }
  /// Whether what a segment gives depends on its input alone, and reaches the loss through the next one alone.
  virtual bool is_resumable() const { return false; }
  virtual InitialValue initial_value(size_t parameter, const std::string& scheme) const = 0;
  virtual void check(const Batch& batch) const = 0;
  virtual double normalizer(const Batch& batch) const { return batch.normalizer(); }

  /// Whether the sums of parts of a batch's rows add up to that of all. If not, a batch goes through the network at once.
  virtual bool adds_over_rows() const { return true; }
  /// Rows that a part must have at least.
  virtual int64_t least_rows() const { return 1; }

  /// Of each part that sum, one number in float64, which stays on its device until somebody reads it. Several parts go through
  /// the network together, so that what is made of a parameter is made once.
  virtual std::vector<at::Tensor> losses(ParameterView& view, const std::vector<Batch>& parts,
                                         const Cancellation& cancel) const = 0;
  /// Numbers that each further part adds to what `losses` holds.
  virtual int64_t numbers_held(const Batch& part) const = 0;
  /// By autograd through `losses`, unless the network knows better.
  virtual PendingGradient differentiate(const Differentiation& how, const Batch& part) const;
  /// Whether the parameter's gradient is whole before `backward` begins.
  virtual bool is_whole_before_backward(size_t /*parameter*/) const { return false; }
  /// Tensors that its passes write to, such as a batch norm's running statistics: a pass works on copies.
  virtual size_t buffer_count() const { return 0; }
  virtual at::Tensor buffer(size_t /*index*/) const { return {}; }
  /// Runs a batch and keeps what it writes to them.
  virtual void move_buffers(ParameterView& /*view*/, const Batch& /*batch*/, const Cancellation& /*cancel*/) {}
  /// Whether it has a linearization. If not, its loss is differentiated twice by autograd, for which all that `losses` does must have
  /// second derivatives.
  virtual bool is_linearizable() const { return false; }
  /// If so, what products of the curvature of scale·loss with vectors have in common.
  virtual std::unique_ptr<curvature::Linearization> linearize(const std::vector<at::Tensor>& /*weights*/, const Batch& /*part*/,
                                                              const curvature::LinearizationOptions& /*options*/) const;
};

}  // namespace critical_sharpness
