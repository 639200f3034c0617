#pragma once
#include <array>
#include <vector>

#include "delta.hpp"

namespace critical_sharpness::kernels {

using TensorList = std::vector<at::Tensor>;
/// Of parameters, their states' first tensors and their second ones; undefined ones are zeros.
using States = std::array<TensorList, 2>;

/// A rule's formula (update/formula.hpp) as loops. There is one object of each.
template <class F>
const Formula& formula();

// Over the tensors of several parameters at once. One that is cancelled leaves what it writes written in part.

/// Takes gradients into states. An undefined gradient is zeros.
void accumulate(const Formula& formula, const States& states, const TensorList& gradients, const update::Constants& constants,
                const Cancellation& cancel = {});
/// outᵢ = P / rᵢ
void write_metric(const Formula& formula, const TensorList& out, const States& states, const update::Constants& constants,
                  const std::vector<double>& learning_rate_ratio, const Cancellation& cancel = {});

// A chunk of a Δ on the CPU: numbers [start, start + length), at most chunk_length.

/// out = Δ
void make_chunk(void* out, const FormulaDelta& delta, int64_t start, int64_t length);
/// θ ← θ − ηΔ in one loop, θ being the weight in `delta`: the same bits as of a Δ that was made first.
void step_chunk(const FormulaDelta& delta, double learning_rate, int64_t start, int64_t length);

/// θ ← θ − ηΔ of rules' deltas, whose weights are θ: the same bits as with a Δ that was made first.
void step(const std::vector<Delta>& deltas, double learning_rate, const Cancellation& cancel = {});

}  // namespace critical_sharpness::kernels
