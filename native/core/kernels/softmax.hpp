#pragma once
#include <ATen/core/Tensor.h>

namespace critical_sharpness::kernels {

// Rows are a softmax's probabilities p and the tangents ż of its logits, [rows, width], contiguous.

/// tangent ← ṗ = p(ż − Σpż).
void softmax_tangent(const at::Tensor& p, const at::Tensor& tangent);

/// Backwards through p and ṗ, given their gradients:
///   tangent ← ṗ; into_tangent (ṗ's gradient) ← ż's; into_values (p's) ← z's.
void softmax_backward(const at::Tensor& p, const at::Tensor& tangent, const at::Tensor& into_values,
                      const at::Tensor& into_tangent);

/// The cross-entropy Σ −log p[target] of each row: its derivative along ż, and, scaled, the gradients of
///   the loss itself:      p ← scale·(p − onehot);
///   that derivative:      tangent ← scale·p(ż − Σpż), the Hessian's product with ż.
/// Rows with an ignored target become zeros. Returns the sum over rows of (p − onehot)·ż, not scaled, in float64.
at::Tensor cross_entropy_curvature(const at::Tensor& p, const at::Tensor& tangent, const at::Tensor& targets, double scale);

}  // namespace critical_sharpness::kernels
