#pragma once
#include <ATen/core/Tensor.h>

#include <variant>

#include "cancellation.hpp"

namespace critical_sharpness::kernels {

// One parameter's part of a direction Δ, as what it is made of. Kernels make the numbers where they use them. All tensors are
// contiguous and on one device; float64 for float64 weights, else float32.

struct StoredDelta {
  at::Tensor numbers;
};

struct AdamWConstants {
  double bias_correction1, bias_correction2, epsilon;  // 1 − βᵗ
};
/// r·(m / (c₁(√(v/c₂) + ε)) + γθ); θ may be bfloat16.
struct AdamWDelta {
  at::Tensor weight, m, v;
  AdamWConstants constants;
  double learning_rate_ratio, weight_decay;  // r, γ
};

/// r·(a·buffer + b·gradient + γθ); θ may be bfloat16; an undefined buffer or gradient is zeros.
struct SgdDelta {
  at::Tensor weight, buffer;
  double a;
  at::Tensor gradient;
  double b;
  double learning_rate_ratio, weight_decay;
};

/// The first: zero throughout, and not to be read.
using Delta = std::variant<std::monostate, StoredDelta, AdamWDelta, SgdDelta>;

inline bool is_zero(const Delta& delta) { return delta.index() == 0; }
/// A tensor on its device, of its length and, but for bfloat16 weights, of its dtype.
const at::Tensor& like(const Delta& delta);
/// `length` of its numbers from `start`.
Delta narrow(const Delta& delta, int64_t start, int64_t length);

/// On the CPU: `length` numbers from `start`, at most chunk_length: where they lie, or made in `buffer`.
const void* read(const Delta& delta, int64_t start, int64_t length, void* buffer);
/// outᵢ = Δᵢ where both are there.
void write(const std::vector<at::Tensor>& out, const std::vector<Delta>& deltas, const Cancellation& cancel = {});

}  // namespace critical_sharpness::kernels
