#pragma once
#include <ATen/core/Tensor.h>

namespace critical_sharpness {

// Sums are one number in float64, on the device of what they are of.

/// Sum over rows of −log softmax(logits)[target], in float64 from float32 (or float64) terms. Rows whose target is
/// `Batch::ignored` count nothing. With `gradient`, that tensor becomes scale·(softmax − onehot).
at::Tensor cross_entropy_sum(const at::Tensor& logits, const at::Tensor& targets, double scale, at::Tensor* gradient);

/// Sum over all elements of (output − target)²; `gradient` becomes scale·2(output − target).
at::Tensor squared_error_sum(const at::Tensor& outputs, const at::Tensor& targets, double scale, at::Tensor* gradient);

// The derivative of these sums along a tangent of the logits or outputs; `gradient` becomes scale·(its own derivative), which
// is the product of the Hessian with the tangent.

at::Tensor cross_entropy_tangent(const at::Tensor& logits, const at::Tensor& tangent, const at::Tensor& targets,
                                 double scale, at::Tensor& gradient);
at::Tensor squared_error_tangent(const at::Tensor& outputs, const at::Tensor& tangent, const at::Tensor& targets,
                                 double scale, at::Tensor& gradient);

}  // namespace critical_sharpness
