#pragma once
#include <ATen/core/Tensor.h>

namespace critical_sharpness::kernels {

// y = γx̂ + β over rows [n, width], with x̂ = (x − μ)/σ. Centered (LayerNorm): μ is the mean and σ² = var + ε. Else
// (RMSNorm): μ = 0 and σ² = mean(x²) + ε. All tensors are contiguous; an undefined γ is 1, an undefined β 0, as are tangents.

struct Normalized {
  at::Tensor output, normalized;  // y, x̂
  at::Tensor scale;               // [n]: 1/σ
};
Normalized norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, double epsilon, bool centered);

/// From the gradient in y to that in x.
at::Tensor norm_gradient(const at::Tensor& gradient, const at::Tensor& normalized, const at::Tensor& scale,
                         const at::Tensor& weight, bool centered);

struct NormGradients {
  at::Tensor input, weight, bias;
};
/// From the gradient in y to those in x, γ and β.
NormGradients norm_gradients(const at::Tensor& gradient, const at::Tensor& normalized, const at::Tensor& scale,
                             const at::Tensor& weight, bool centered);

struct NormTangent {
  at::Tensor output, normalized;  // tangents of y and x̂
  at::Tensor along;               // [n]: mean(x̂ẋ)/σ
};
/// From x's tangent and the weights'.
NormTangent norm_tangent(const at::Tensor& x_tangent, const at::Tensor& normalized, const at::Tensor& scale,
                         const at::Tensor& weight, const at::Tensor& weight_tangent, const at::Tensor& bias_tangent,
                         bool centered);

struct NormOperands {
  const at::Tensor &gradient;             // into y
  const at::Tensor &tangent_gradient;     // into y's tangent; undefined = zeros
  const at::Tensor &normalized, &normalized_tangent, &scale, &along, &weight, &weight_tangent;
  bool centered;
};
/// From the gradients in y and in its tangent to those in x, γ and β.
NormGradients norm_second_order(const NormOperands& operands);

}  // namespace critical_sharpness::kernels
