#pragma once
#include <ATen/core/Tensor.h>

#include <vector>

#include "delta.hpp"

namespace critical_sharpness::kernels {

using TensorList = std::vector<at::Tensor>;

// Over the tensors of several parameters at once. An undefined gradient is zeros. One that is cancelled leaves what it writes
// written in part.

/// AdamW's moments: m ← β₁m + (1−β₁)g, v ← β₂v + (1−β₂)g².
void adamw_accumulate(const TensorList& m, const TensorList& v, const TensorList& gradients, double beta1, double beta2,
                      const Cancellation& cancel = {});
/// out = c₁(√(v/c₂) + ε) / r.
void adamw_preconditioner(const TensorList& out, const TensorList& v, const AdamWConstants& constants,
                          const std::vector<double>& learning_rate_ratio, const Cancellation& cancel = {});
/// buffer ← μ·buffer + g.
void momentum_accumulate(const TensorList& buffers, const TensorList& gradients, double momentum,
                         const Cancellation& cancel = {});

/// θ ← θ − ηΔ of optimizers' deltas, whose weights are θ: the same bits as with a Δ that was made first.
void step(const std::vector<Delta>& deltas, double learning_rate, const Cancellation& cancel = {});

}  // namespace critical_sharpness::kernels
