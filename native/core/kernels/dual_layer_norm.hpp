#pragma once
#include <ATen/core/Tensor.h>

namespace critical_sharpness::kernels {

/// A row of weights and its tangent (undefined = zeros).
struct DualRow {
  at::Tensor value, tangent;
};

struct DualLayerNorm {
  at::Tensor output;      // [2n, width]
  at::Tensor normalized;  // [2n, width]: x̂ and its tangent
  at::Tensor statistics;  // [n, 2]: 1/σ and mean(x̂ẋ)/σ
};
/// y = γx̂ + β with x̂ = (x − μ)/σ, σ² = var + ε, of rows x [2n, width], values and tangents.
DualLayerNorm dual_layer_norm(const at::Tensor& x, const DualRow& weight, const DualRow& bias, double epsilon);

struct DualLayerNormGradient {
  at::Tensor x, weight, bias;
};
DualLayerNormGradient dual_layer_norm_backward(const at::Tensor& gradient, const at::Tensor& normalized,
                                               const at::Tensor& statistics, const DualRow& weight);

}  // namespace critical_sharpness::kernels
