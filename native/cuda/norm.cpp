#include <ATen/TensorOperators.h>

#include "kernels.hpp"

namespace critical_sharpness::cuda {
namespace {

at::Tensor row_mean(const at::Tensor& rows) { return rows.mean(at::IntArrayRef{1}, /*keepdim=*/true); }
at::Tensor times(const at::Tensor& rows, const at::Tensor& weight) { return weight.defined() ? rows * weight : rows; }
at::Tensor column(const at::Tensor& scale) { return scale.unsqueeze(1); }

/// (v − mean(v) − x̂·along)/σ, or without mean(v).
at::Tensor project(const at::Tensor& v, const at::Tensor& along, const at::Tensor& normalized, const at::Tensor& scale,
                   bool centered) {
  const at::Tensor moved = v - normalized * along;
  return (centered ? moved - row_mean(v) : moved) * column(scale);
}

}  // namespace

Normalized norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, double epsilon, bool centered) {
  const at::Tensor moved = centered ? x - row_mean(x) : x;
  const at::Tensor scale = (row_mean(moved.square()) + epsilon).rsqrt();
  const at::Tensor normalized = moved * scale, output = times(normalized, weight);
  return {bias.defined() ? output + bias : output, normalized, scale.squeeze(1)};
}

at::Tensor norm_gradient(const at::Tensor& gradient, const at::Tensor& normalized, const at::Tensor& scale,
                         const at::Tensor& weight, bool centered) {
  const at::Tensor v = times(gradient, weight);
  return project(v, row_mean(v * normalized), normalized, scale, centered);
}

NormGradients norm_gradients(const at::Tensor& gradient, const at::Tensor& normalized, const at::Tensor& scale,
                             const at::Tensor& weight, bool centered) {
  return {norm_gradient(gradient, normalized, scale, weight, centered), (gradient * normalized).sum(0), gradient.sum(0)};
}

NormTangent norm_tangent(const at::Tensor& x_tangent, const at::Tensor& normalized, const at::Tensor& scale,
                         const at::Tensor& weight, const at::Tensor& weight_tangent, const at::Tensor& bias_tangent,
                         bool centered) {
  const at::Tensor along = row_mean(x_tangent * normalized);
  const at::Tensor moved = project(x_tangent, along, normalized, scale, centered);
  at::Tensor output = times(moved, weight);
  if (weight_tangent.defined()) output = output + normalized * weight_tangent;
  if (bias_tangent.defined()) output = output + bias_tangent;
  return {output, moved, along.squeeze(1) * scale};
}

NormGradients norm_second_order(const NormOperands& o) {
  NormGradients into{{}, (o.gradient * o.normalized).sum(0), o.gradient.sum(0)};
  if (!o.tangent_gradient.defined()) {
    into.input = norm_gradient(o.gradient, o.normalized, o.scale, o.weight, o.centered);
    return into;
  }
  // As kernels/norm.cpp has it: a, with b = γ·kept, and what is taken off its mean along x̂.
  const at::Tensor& kept = o.tangent_gradient;
  const at::Tensor b = times(kept, o.weight), along = column(o.along);
  at::Tensor a = times(o.gradient, o.weight) - b * along - (o.normalized_tangent + o.normalized * along) * row_mean(b * o.normalized);
  if (o.weight_tangent.defined()) a = a + kept * o.weight_tangent;
  into.weight = into.weight + (kept * o.normalized_tangent).sum(0);
  into.input = project(a, row_mean(a * o.normalized) + row_mean(b * o.normalized_tangent), o.normalized, o.scale, o.centered);
  return into;
}

}  // namespace critical_sharpness::cuda
