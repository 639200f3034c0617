#pragma once
#include <memory>

#include "operation.hpp"
#include "parameter_view.hpp"

namespace critical_sharpness::curvature {

using Operations = std::vector<std::unique_ptr<Operation>>;

// The two passes over a network. What is made of weights needs a gradient, for tensors that do not are constants, and is a node
// of autograd's graph, which finds the way back.

/// Activations; every operation is put down. Backwards, they keep the loss's gradients.
class RecordingView : public ParameterView {
 public:
  RecordingView(Weights weights, Operations& operations);

  at::Tensor value(size_t index, at::ScalarType dtype) override;
  at::Tensor embedding(const at::Tensor& ids, size_t weight) override;
  at::Tensor linear(const at::Tensor& x, size_t weight, std::optional<size_t> bias, Storage storage) override;
  at::Tensor norm(const at::Tensor& x, const Norm& norm) override;
  at::Tensor embed(const at::Tensor& ids, size_t tokens, std::optional<size_t> positions, int64_t padding) override;
  at::Tensor activation(const at::Tensor& x, Activation kind) override;
  at::Tensor gate(const at::Tensor& g, const at::Tensor& x, Activation kind) override;
  at::Tensor clamp(const at::Tensor& x, double bound) override;
  at::Tensor attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Attention& how) override;
  Routing route(const at::Tensor& logits, const Router& router) override;
  at::Tensor combine(const at::Tensor& weights, const at::Tensor& rows, const Dispatch& dispatch) override;
  at::Tensor balanced(const at::Tensor& logits, const Router& router, size_t layer, const std::shared_ptr<Balance>& balance) override;

 private:
  at::Tensor put_down(std::unique_ptr<Operation> operation, Tensors inputs);

  Weights weights_;
  at::Tensor moving_;  // among the inputs, it makes an output need a gradient, whatever the others are; it gets none
  Operations& operations_;
};

/// The activations' tangents along the weights' direction, from operations that were put down, in the same order.
/// Backwards, the product's parts arrive in the leaves' gradients.
class TangentView : public ParameterView {
 public:
  TangentView(const std::vector<at::Tensor>& leaves, Weights weights, const Operations& operations);

  /// The value alone.
  at::Tensor value(size_t index, at::ScalarType dtype) override;
  const at::Tensor& tangent(size_t index) const { return weights_.tangent(index); }
  at::Tensor embedding(const at::Tensor& ids, size_t weight) override;
  at::Tensor linear(const at::Tensor& x, size_t, std::optional<size_t>, Storage) override { return next({x}); }
  at::Tensor norm(const at::Tensor& x, const Norm&) override { return next({x}); }
  at::Tensor embed(const at::Tensor& ids, size_t, std::optional<size_t>, int64_t) override { return next({ids}); }
  at::Tensor activation(const at::Tensor& x, Activation) override { return next({x}); }
  at::Tensor gate(const at::Tensor& g, const at::Tensor& x, Activation) override { return next({g, x}); }
  at::Tensor clamp(const at::Tensor& x, double) override { return next({x}); }
  at::Tensor attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Attention&) override;
  Routing route(const at::Tensor& logits, const Router&) override;
  at::Tensor combine(const at::Tensor& weights, const at::Tensor& rows, const Dispatch&) override { return next({weights, rows}); }
  at::Tensor balanced(const at::Tensor& logits, const Router&, size_t, const std::shared_ptr<Balance>& balance) override;

 private:
  at::Tensor next(Tensors inputs);

  const std::vector<at::Tensor>& leaves_;
  Weights weights_;
  at::Tensor moving_;  // as of the RecordingView
  const Operations& operations_;
  size_t next_ = 0;
};

}  // namespace critical_sharpness::curvature
