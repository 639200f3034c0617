#pragma once
#include <ATen/core/Tensor.h>

#include <memory>
#include <optional>
#include <vector>

#include "activation.hpp"
#include "attention.hpp"
#include "balance.hpp"
#include "experts.hpp"
#include "norm.hpp"
#include "parameter_vector.hpp"

// Second derivatives by linearising twice. One pass over a batch keeps, of every operation of the network, what its input
// was and what the loss's gradient in its output is. Neither depends on the vector v; a product Hv is then the derivative
// of the loss's gradient along v: tangents forwards, and the tangents' gradient backwards. Of a layer x·W these are six
// matrix products (ẋW, xẆ; ȳWᵀ, gẆᵀ; xᵀȳ, ẋᵀg) beside the first pass's two.

namespace critical_sharpness::curvature {

/// The weights, and the direction v in which they move.
struct Weights {
  const std::vector<at::Tensor>& values;
  const ParameterVector* direction = nullptr;

  const at::Tensor& value(size_t index) const { return values[index]; }
  /// Undefined where it is zero.
  const at::Tensor& tangent(size_t index) const { return (*direction)[index]; }
};

using Tensors = std::vector<at::Tensor>;
/// What `differentiate` wants to know of how a tangent came about. Never the output's own: it would hold itself.
using Memory = Tensors;
struct Tangent {
  at::Tensor output;
  Memory memory;
};

/// Gradients in each of the operation's inputs (undefined for a constant) and parameters.
struct Gradients {
  Tensors inputs, parameters;
};

/// One operation of a network, at the weights and the inputs that it was made with. Members are called in this order, the
/// last two any number of times. What is linear and has no parameters needs none: autograd's own does for both passes.
class Operation {
 public:
  explicit Operation(std::vector<size_t> parameters) : parameters_(std::move(parameters)) {}
  virtual ~Operation() = default;
  const std::vector<size_t>& parameters() const { return parameters_; }

  virtual at::Tensor output(const Weights& weights, const Tensors& inputs) = 0;
  /// Keeps the loss's gradient in the output; returns those in the inputs. Left out where it is not wanted (Gauss–Newton): a
  /// product then takes it for zero.
  virtual Tensors keep_gradient(const Weights& weights, const at::Tensor& gradient) = 0;
  /// `inputs`: the inputs' tangents; undefined for a constant.
  virtual Tangent tangent(const Weights& weights, const Tensors& inputs) const = 0;
  /// From the gradient in the output to those in the inputs and the parameters, where the tangents move the latter as well.
  virtual Gradients differentiate(const Weights& weights, const Memory& memory, const at::Tensor& gradient) const = 0;
  /// Bytes that it keeps.
  virtual int64_t byte_length() const = 0;

 private:
  std::vector<size_t> parameters_;
};

/// One that chooses experts of its input: the same for every tangent.
class Choice : public Operation {
 public:
  Choice() : Operation({}) {}
  /// [tokens, chosen], once there is an output.
  const at::Tensor& experts() const { return experts_; }

 protected:
  at::Tensor experts_;
};

/// One that adds a loss of its own.
class Balancing : public Operation {
 public:
  Balancing() : Operation({}) {}
  /// That loss's derivative along the input's tangent.
  virtual at::Tensor along(const at::Tensor& tangent) const = 0;
};

inline int64_t bytes_of(std::initializer_list<at::Tensor> tensors) {
  int64_t bytes = 0;
  for (const auto& t : tensors)
    if (t.defined()) bytes += static_cast<int64_t>(t.nbytes());
  return bytes;
}

/// x·Wᵀ + b, or x·W + b unless `transposed`.
std::unique_ptr<Operation> linear(size_t weight, std::optional<size_t> bias, bool transposed, bool constant);
std::unique_ptr<Operation> norm(const Norm& norm);
std::unique_ptr<Operation> activation(Activation kind);
/// f(gate)·x of the inputs gate and x.
std::unique_ptr<Operation> gate(Activation kind);
/// x within ±bound.
std::unique_ptr<Operation> clamp(double bound);
/// Of queries, keys and values, each [batch, length, heads, size]; rows [batch·length, heads·size].
std::unique_ptr<Operation> attention(const Attention& attention);
/// Rows tokens[id] (+ positions[place]) of ids [batch, length], which are the constant input. `padding`: the id whose row does
/// not move, or −1.
std::unique_ptr<Operation> embedding(size_t tokens, std::optional<size_t> positions, int64_t padding);

/// From a router's logits to the chosen experts' weights.
std::unique_ptr<Choice> route(const Router& router);
/// A router's logits; their gradient has the balance's in it, with the scale that it has by then.
std::unique_ptr<Operation> balance(const Router& router, size_t layer, std::shared_ptr<Balance> balance);
/// The sum of the inputs weights and rows, by `dispatch`.
std::unique_ptr<Operation> combine(const Dispatch& dispatch);

}  // namespace critical_sharpness::curvature
