#pragma once
#include <ATen/core/Tensor.h>

#include <optional>
#include <vector>

#include "activation.hpp"
#include "parameter_vector.hpp"
#include "scratch.hpp"

namespace critical_sharpness {

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
  enum class Storage { out_in, in_out };
  /// x·Wᵀ + b in the compute dtype.
  virtual at::Tensor linear(const at::Tensor& x, size_t weight, std::optional<size_t> bias, Storage storage = Storage::out_in);
  /// Normalised in the precision of x, then rounded to the compute dtype.
  virtual at::Tensor layer_norm(const at::Tensor& x, size_t weight, size_t bias, double epsilon);
  /// Rows [tokens, width] of token ids [batch, length]: tokens[id] + positions[place in the sequence].
  virtual at::Tensor embed(const at::Tensor& ids, size_t tokens, size_t positions);
  virtual at::Tensor activation(const at::Tensor& x, Activation kind) { return activate(x, kind); }
  /// Causal self-attention within sequences of `length` rows, which hold queries, keys and values side by side.
  virtual at::Tensor attention(const at::Tensor& qkv, int64_t batch, int64_t length, int64_t heads);

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
