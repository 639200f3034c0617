#include "loss_heads.hpp"

#include <ATen/ops/_log_softmax.h>
#include <ATen/ops/_softmax.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/nll_loss.h>
#include <ATen/ops/sub.h>
#include <ATen/core/Reduction.h>

#include "batch.hpp"
#include "kernels/softmax.hpp"

namespace critical_sharpness {

at::Tensor cross_entropy_sum(const at::Tensor& logits, const at::Tensor& targets, double scale, at::Tensor* gradient) {
  const at::Tensor wide = logits.scalar_type() == at::kBFloat16 ? logits.to(at::kFloat) : logits;
  at::Tensor log_probabilities = at::_log_softmax(wide, 1, false);
  const at::Tensor terms = at::nll_loss(log_probabilities, targets, {}, at::Reduction::None, Batch::ignored);
  at::Tensor sum = terms.sum(at::kDouble);
  if (gradient) {
    const at::Tensor counts = targets.ne(Batch::ignored).unsqueeze(1);
    const at::Tensor hit = targets.clamp_min(0).unsqueeze(1);
    at::Tensor d = log_probabilities.exp_();
    d.scatter_add_(1, hit, counts.to(d.scalar_type()).neg_());
    d.mul_(counts.to(d.scalar_type()).mul_(scale));
    *gradient = std::move(d);
  }
  return sum;
}

at::Tensor squared_error_sum(const at::Tensor& outputs, const at::Tensor& targets, double scale, at::Tensor* gradient) {
  const at::Tensor wide = outputs.scalar_type() == at::kBFloat16 ? outputs.to(at::kFloat) : outputs;
  at::Tensor difference = at::sub(wide, targets.to(wide.scalar_type()));
  // A row's terms are added up in its own precision, the rows in float64.
  at::Tensor sum = difference.square().sum(at::IntArrayRef{1}).sum(at::kDouble);
  if (gradient) *gradient = difference.mul_(2 * scale);
  return sum;
}

at::Tensor cross_entropy_tangent(const at::Tensor& logits, const at::Tensor& tangent, const at::Tensor& targets,
                                 double scale, at::Tensor& gradient) {
  const at::Tensor p = at::_softmax(logits, 1, false);
  gradient = tangent.clone(at::MemoryFormat::Contiguous);
  return kernels::cross_entropy_curvature(p, gradient, targets, scale);
}

at::Tensor squared_error_tangent(const at::Tensor& outputs, const at::Tensor& tangent, const at::Tensor& targets,
                                 double scale, at::Tensor& gradient) {
  const at::Tensor difference = at::sub(outputs, targets.to(outputs.scalar_type()));
  gradient = at::mul(tangent, 2 * scale);
  return at::mul(difference, tangent).sum(at::IntArrayRef{1}).sum(at::kDouble).mul_(2);
}

}  // namespace critical_sharpness
