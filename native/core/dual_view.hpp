#pragma once
#include "dual/dual.hpp"
#include "parameter_view.hpp"

namespace critical_sharpness {

/// Leaves that autograd differentiates with respect to, each with its tangent: activations become dual rows (see dual.hpp).
/// `value` and `embedding` give the values alone.
class DualView : public ParameterView {
 public:
  DualView(const std::vector<at::Tensor>& leaves, const ParameterVector& direction, bool gauss_newton)
      : ParameterView(direction.layout()->dtype), leaves_(leaves), direction_(direction), gauss_newton_(gauss_newton) {}

  at::Tensor value(size_t index, at::ScalarType dtype, Scratch::Slot slot) override;
  at::Tensor embedding(const at::Tensor& ids, size_t weight) override;
  /// Undefined where it is zero.
  const at::Tensor& tangent(size_t index) const { return direction_[index]; }

  at::Tensor linear(const at::Tensor& x, size_t weight, std::optional<size_t> bias, Storage storage) override;
  at::Tensor layer_norm(const at::Tensor& x, size_t weight, size_t bias, double epsilon) override;
  at::Tensor embed(const at::Tensor& ids, size_t tokens, size_t positions) override;
  at::Tensor activation(const at::Tensor& x, Activation kind) override;
  at::Tensor attention(const at::Tensor& qkv, int64_t batch, int64_t length, int64_t heads) override;

 private:
  dual::Weight weight(size_t index) const { return {leaves_[index], direction_[index]}; }

  const std::vector<at::Tensor>& leaves_;
  const ParameterVector& direction_;
  bool gauss_newton_;
};

}  // namespace critical_sharpness
