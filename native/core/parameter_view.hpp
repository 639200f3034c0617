#pragma once
#include <ATen/core/Tensor.h>

#include <optional>
#include <vector>

#include "activation.hpp"
#include "attention.hpp"
#include "norm.hpp"
#include "parameter_vector.hpp"
#include "scratch.hpp"

namespace critical_sharpness {

/// Of a linear layer's weight.
enum class WeightStorage { out_in, in_out };

/// How a forward pass reads parameters: the one place where θ may become θ − ηΔ. Layers name parameters by their
/// index in the layout. Activations are rows: [tokens or examples, features].
class ParameterView {
 public:
  explicit ParameterView(at::ScalarType compute_dtype) : compute_dtype_(compute_dtype) {}
  virtual ~ParameterView() = default;

  at::ScalarType compute_dtype() const { return compute_dtype_; }

  /// The whole parameter in `dtype`. Valid until the same slot is asked for again.
  virtual at::Tensor value(size_t index, at::ScalarType dtype, Scratch::Slot slot = Scratch::Slot::weight) = 0;
  /// Its rows at `ids` (any shape), in the parameter's own dtype.
  virtual at::Tensor embedding(const at::Tensor& ids, size_t weight) = 0;

  /// Whether a weight is stored [out, in] (PyTorch's Linear) or [in, out] (GPT-2's Conv1D).
  using Storage = WeightStorage;
  /// x·Wᵀ + b in the compute dtype.
  virtual at::Tensor linear(const at::Tensor& x, size_t weight, std::optional<size_t> bias, Storage storage = Storage::out_in);
  /// Over the last axis of x, in float32 or wider, then rounded to the compute dtype.
  virtual at::Tensor norm(const at::Tensor& x, const Norm& norm);
  /// Rows [tokens, width] of token ids [batch, length]: tokens[id] (+ positions[place in the sequence]).
  virtual at::Tensor embed(const at::Tensor& ids, size_t tokens, std::optional<size_t> positions);
  virtual at::Tensor activation(const at::Tensor& x, Activation kind) { return activate(x, kind); }
  /// f(g)·x
  virtual at::Tensor gate(const at::Tensor& g, const at::Tensor& x, Activation kind);
  /// x within ±bound.
  virtual at::Tensor clamp(const at::Tensor& x, double bound);
  /// Self-attention within sequences: rows [batch·length, heads·size] of queries [batch, length, heads, size], keys and
  /// values [batch, length, as many heads or a divisor of them, size].
  virtual at::Tensor attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Attention& how) {
    return attend(q, k, v, how);
  }

 private:
  at::ScalarType compute_dtype_;
};

/// θ as it is stored.
class PlainView : public ParameterView {
 public:
  PlainView(const std::vector<at::Tensor>& weights, at::ScalarType compute_dtype, Scratch& scratch)
      : ParameterView(compute_dtype), weights_(weights), scratch_(scratch) {}
  at::Tensor value(size_t index, at::ScalarType dtype, Scratch::Slot slot) override;
  at::Tensor embedding(const at::Tensor& ids, size_t weight) override;

 private:
  const std::vector<at::Tensor>& weights_;
  Scratch& scratch_;
};

/// θ − ηΔ, made in scratch for one use at a time; an embedding perturbs only the rows that it gathers.
class PerturbedView : public ParameterView {
 public:
  PerturbedView(const std::vector<at::Tensor>& weights, const ParameterVector& direction, double learning_rate,
                at::ScalarType compute_dtype, Scratch& scratch)
      : ParameterView(compute_dtype),
        weights_(weights),
        direction_(direction),
        learning_rate_(learning_rate),
        scratch_(scratch) {}
  at::Tensor value(size_t index, at::ScalarType dtype, Scratch::Slot slot) override;
  at::Tensor embedding(const at::Tensor& ids, size_t weight) override;

 private:
  const std::vector<at::Tensor>& weights_;
  const ParameterVector& direction_;
  double learning_rate_;
  Scratch& scratch_;
};

/// Leaves that autograd differentiates with respect to.
class DifferentiableView : public ParameterView {
 public:
  DifferentiableView(const std::vector<at::Tensor>& leaves, at::ScalarType compute_dtype)
      : ParameterView(compute_dtype), leaves_(leaves) {}
  at::Tensor value(size_t index, at::ScalarType dtype, Scratch::Slot slot) override;
  at::Tensor embedding(const at::Tensor& ids, size_t weight) override;

 private:
  const std::vector<at::Tensor>& leaves_;
};

}  // namespace critical_sharpness
