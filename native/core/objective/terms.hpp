#pragma once
#include <ATen/core/Tensor.h>

#include "objective.hpp"

namespace critical_sharpness {

/// What a term of a loss is: −log softmax(logits)[target] of a row, or Σ(output − target)² over one.
enum class Loss { mse, cross_entropy };

// Outputs or logits [rows, width] of a network, held whole. Sums are one number in float64 on the device of what they are of.
// A row whose target is `Batch::ignored` counts nothing.

/// f of the rows' terms, from float32 (or float64) terms. With `gradient`, that tensor becomes scale·∂f/∂outputs.
/// `weights` [rows]: f = Σ wᵢtᵢ; undefined: 1 each.
at::Tensor weighted_sum(Loss loss, const at::Tensor& outputs, const at::Tensor& targets, const at::Tensor& weights,
                        double scale, at::Tensor* gradient);
/// The terms, [rows].
at::Tensor terms_of(Loss loss, const at::Tensor& outputs, const at::Tensor& targets);
/// Their derivatives along a tangent of the outputs, [rows].
at::Tensor terms_tangent(Loss loss, const at::Tensor& outputs, const at::Tensor& tangent, const at::Tensor& targets);

/// f of an objective, null: the sum, and scale·∂f/∂outputs.
at::Tensor loss_of(Loss loss, const at::Tensor& outputs, const at::Tensor& targets, const Objective* objective, double scale,
                   at::Tensor* gradient);

/// Of f's derivative along a tangent of the outputs, its derivatives: what the Hessian makes of the tangent.
struct LossTangent {
  at::Tensor sum;             // f's derivative along the tangent, one number
  at::Tensor of_gradient;     // the tangent of scale·∂f/∂outputs
  at::Tensor gradient;        // scale·∂f/∂outputs, where it comes at no cost: cross-entropy
};
/// `weights` and `weights_tangent` [rows]: ∂f/∂t and its tangent; undefined: 1 and 0 each. `tangent` may be overwritten.
LossTangent tangent_of(Loss loss, const at::Tensor& outputs, at::Tensor tangent, const at::Tensor& targets,
                       const at::Tensor& weights, const at::Tensor& weights_tangent, double scale);
/// The same of an objective, null: the sum.
LossTangent tangent_of(Loss loss, const at::Tensor& outputs, at::Tensor tangent, const at::Tensor& targets,
                       const Objective* objective, double scale);

}  // namespace critical_sharpness
