#pragma once
#include <optional>

#include "network/feature_network.hpp"

namespace critical_sharpness {

/// Cross-entropy of the next token over logits z = xWᵀ + b, made for a chunk of tokens at a time, so that
/// [tokens, vocabulary] is never held whole.
struct LanguageHead {
  size_t weight = 0;
  std::optional<size_t> bias;
  int64_t vocabulary_size = 0;
  double cap = 0;  // z becomes cap·tanh(z/cap); 0: it stays

  /// As `FeatureNetwork::head` and `head_tangent`.
  at::Tensor loss(ParameterView& view, const at::Tensor& features, const Batch& batch, HeadGradient* gradient,
                  const Cancellation& cancel) const;
  at::Tensor tangent(curvature::TangentView& view, const at::Tensor& features, const at::Tensor& tangent, const Batch& batch,
                     HeadCurvature& curvature, const Cancellation& cancel) const;
};

}  // namespace critical_sharpness
