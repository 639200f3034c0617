#pragma once
#include <ATen/core/Tensor.h>

namespace critical_sharpness::kernels {

// y = γx̂ + β with x̂ = (x − μ)/σ, σ² = var + ε, over rows [n, width]. All tensors are contiguous.

struct LayerNorm {
  at::Tensor output, normalized;  // y, x̂
  at::Tensor scale;               // [n]: 1/σ
};
LayerNorm layer_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, double epsilon);

/// From the gradient in y to that in x.
at::Tensor layer_norm_gradient(const at::Tensor& gradient, const at::Tensor& normalized, const at::Tensor& scale,
                               const at::Tensor& weight);

struct LayerNormTangent {
  at::Tensor output, normalized;  // tangents of y and x̂
  at::Tensor along;               // [n]: mean(x̂ẋ)/σ
};
/// From x's tangent and the weights' (undefined = zeros).
LayerNormTangent layer_norm_tangent(const at::Tensor& x_tangent, const at::Tensor& normalized, const at::Tensor& scale,
                                    const at::Tensor& weight, const at::Tensor& weight_tangent, const at::Tensor& bias_tangent);

struct LayerNormOperands {
  const at::Tensor &gradient;             // into y
  const at::Tensor &tangent_gradient;     // into y's tangent; undefined = zeros
  const at::Tensor &normalized, &normalized_tangent, &scale, &along, &weight;
  const at::Tensor &weight_tangent;       // undefined = zeros
};
struct LayerNormGradients {
  at::Tensor input, weight, bias;
};
/// From the gradients in y and in its tangent to those in x, γ and β.
LayerNormGradients layer_norm_second_order(const LayerNormOperands& operands);

}  // namespace critical_sharpness::kernels
