#include "terms.hpp"

#include <ATen/core/Reduction.h>
#include <ATen/ops/_log_softmax.h>
#include <ATen/ops/_softmax.h>
#include <ATen/ops/dot.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/nll_loss.h>
#include <ATen/ops/sub.h>

#include "batch.hpp"
#include "kernels/softmax.hpp"

namespace critical_sharpness {
namespace {

at::Tensor widened(const at::Tensor& outputs) {
  return outputs.scalar_type() == at::kBFloat16 ? outputs.to(at::kFloat) : outputs;
}

/// [rows] as a factor of [rows, width].
at::Tensor by_row(const at::Tensor& numbers, const at::Tensor& like) { return numbers.to(like.scalar_type()).unsqueeze(1); }

at::Tensor sum_of(const at::Tensor& terms, const at::Tensor& weights) {
  return weights.defined() ? at::dot(terms.to(at::kDouble), weights) : terms.sum(at::kDouble);
}

at::Tensor cross_entropies(const at::Tensor& log_probabilities, const at::Tensor& targets) {
  return at::nll_loss(log_probabilities, targets, {}, at::Reduction::None, Batch::ignored);
}

at::Tensor counts_of(const at::Tensor& targets) { return targets.ne(Batch::ignored); }

/// A row's terms are added up in its own precision.
at::Tensor squares_of(const at::Tensor& difference) { return difference.square().sum(at::IntArrayRef{1}); }

at::Tensor difference_of(const at::Tensor& outputs, const at::Tensor& targets) {
  const at::Tensor wide = widened(outputs);
  return at::sub(wide, targets.to(wide.scalar_type()));
}

at::Tensor cross_entropy_sum(const at::Tensor& logits, const at::Tensor& targets, const at::Tensor& weights, double scale,
                             at::Tensor* gradient) {
  const at::Tensor log_probabilities = at::_log_softmax(widened(logits), 1, false);
  at::Tensor sum = sum_of(cross_entropies(log_probabilities, targets), weights);
  if (gradient) {
    const at::Tensor counts = counts_of(targets).unsqueeze(1);
    at::Tensor d = at::Tensor(log_probabilities).exp_();
    d.scatter_add_(1, targets.clamp_min(0).unsqueeze(1), counts.to(d.scalar_type()).neg_());
    at::Tensor factor = counts.to(d.scalar_type()).mul_(scale);
    if (weights.defined()) factor.mul_(by_row(weights, d));
    *gradient = d.mul_(factor);
  }
  return sum;
}

at::Tensor squared_error_sum(const at::Tensor& outputs, const at::Tensor& targets, const at::Tensor& weights, double scale,
                             at::Tensor* gradient) {
  at::Tensor difference = difference_of(outputs, targets);
  at::Tensor sum = sum_of(squares_of(difference), weights);
  if (gradient) {
    if (weights.defined()) difference.mul_(by_row(weights, difference));
    *gradient = difference.mul_(2 * scale);
  }
  return sum;
}

LossTangent cross_entropy_tangent(const at::Tensor& logits, const at::Tensor& tangent, const at::Tensor& targets,
                                  const at::Tensor& weights, const at::Tensor& weights_tangent, double scale) {
  LossTangent result;
  result.gradient = at::_softmax(logits, 1, false);
  result.of_gradient = tangent.contiguous();
  if (!weights.defined()) {
    result.sum = kernels::cross_entropy_curvature(result.gradient, result.of_gradient, targets, scale);
    return result;
  }
  result.sum = at::dot(terms_tangent(Loss::cross_entropy, logits, tangent, targets).to(at::kDouble), weights);
  kernels::cross_entropy_curvature(result.gradient, result.of_gradient, targets, 1);
  result.of_gradient.mul_(by_row(weights, tangent));
  if (weights_tangent.defined()) result.of_gradient.addcmul_(result.gradient, by_row(weights_tangent, tangent));
  result.of_gradient.mul_(scale);
  result.gradient.mul_(by_row(weights, tangent)).mul_(scale);
  return result;
}

LossTangent squared_error_tangent(const at::Tensor& outputs, const at::Tensor& tangent, const at::Tensor& targets,
                                  const at::Tensor& weights, const at::Tensor& weights_tangent, double scale) {
  const at::Tensor difference = at::sub(outputs, targets.to(outputs.scalar_type()));
  LossTangent result;
  result.of_gradient = at::mul(tangent, 2 * scale);
  const at::Tensor terms = at::mul(difference, tangent).sum(at::IntArrayRef{1});
  result.sum = sum_of(terms, weights).mul_(2);
  if (weights.defined()) result.of_gradient.mul_(by_row(weights, tangent));
  if (weights_tangent.defined()) result.of_gradient.addcmul_(difference.mul(2 * scale), by_row(weights_tangent, tangent));
  return result;
}

}  // namespace

at::Tensor weighted_sum(Loss loss, const at::Tensor& outputs, const at::Tensor& targets, const at::Tensor& weights,
                        double scale, at::Tensor* gradient) {
  const auto sum = loss == Loss::mse ? squared_error_sum : cross_entropy_sum;
  return sum(outputs, targets, weights, scale, gradient);
}

at::Tensor terms_of(Loss loss, const at::Tensor& outputs, const at::Tensor& targets) {
  if (loss == Loss::mse) return squares_of(difference_of(outputs, targets));
  return cross_entropies(at::_log_softmax(widened(outputs), 1, false), targets);
}

at::Tensor terms_tangent(Loss loss, const at::Tensor& outputs, const at::Tensor& tangent, const at::Tensor& targets) {
  if (loss == Loss::mse) return at::mul(difference_of(outputs, targets), tangent).sum(at::IntArrayRef{1}).mul_(2);
  const at::Tensor hit = tangent.gather(1, targets.clamp_min(0).unsqueeze(1)).squeeze(1);
  return at::mul(at::_softmax(outputs, 1, false), tangent).sum(at::IntArrayRef{1}).sub_(hit).mul_(counts_of(targets));
}

at::Tensor loss_of(Loss loss, const at::Tensor& outputs, const at::Tensor& targets, const Objective* objective, double scale,
                   at::Tensor* gradient) {
  if (!objective) return weighted_sum(loss, outputs, targets, {}, scale, gradient);
  const at::Tensor terms = objective->is_linear() ? at::Tensor() : terms_of(loss, outputs, targets);
  if (terms.defined() && !gradient) return objective->value(terms);
  const at::Tensor sum = weighted_sum(loss, outputs, targets, objective->weights(terms), scale, gradient);
  return terms.defined() ? objective->value(terms) : sum;
}

LossTangent tangent_of(Loss loss, const at::Tensor& outputs, at::Tensor tangent, const at::Tensor& targets,
                       const at::Tensor& weights, const at::Tensor& weights_tangent, double scale) {
  const auto of_loss = loss == Loss::mse ? squared_error_tangent : cross_entropy_tangent;
  return of_loss(outputs, tangent, targets, weights, weights_tangent, scale);
}

LossTangent tangent_of(Loss loss, const at::Tensor& outputs, at::Tensor tangent, const at::Tensor& targets,
                       const Objective* objective, double scale) {
  if (!objective) return tangent_of(loss, outputs, std::move(tangent), targets, at::Tensor(), at::Tensor(), scale);
  const bool linear = objective->is_linear();
  const at::Tensor terms = linear ? at::Tensor() : terms_of(loss, outputs, targets);
  const at::Tensor tangents = linear ? at::Tensor() : terms_tangent(loss, outputs, tangent, targets);
  return tangent_of(loss, outputs, std::move(tangent), targets, objective->weights(terms),
                    objective->weights_tangent(terms, tangents), scale);
}

}  // namespace critical_sharpness
