#pragma once
#include "delta.hpp"

namespace critical_sharpness::kernels {

// A chunk of a Δ on the CPU: numbers [start, start + length), at most chunk_length.

/// out = Δ
void make_chunk(void* out, const AdamWDelta& delta, int64_t start, int64_t length);
void make_chunk(void* out, const SgdDelta& delta, int64_t start, int64_t length);

/// θ ← θ − ηΔ in one loop, θ being the weight in `delta`: the same bits as of a Δ that was made first.
void step_chunk(const AdamWDelta& delta, double learning_rate, int64_t start, int64_t length);
void step_chunk(const SgdDelta& delta, double learning_rate, int64_t start, int64_t length);

}  // namespace critical_sharpness::kernels
