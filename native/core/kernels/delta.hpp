#pragma once
#include <ATen/core/Tensor.h>

#include <functional>
#include <optional>
#include <variant>

#include "cancellation.hpp"
#include "update/formula.hpp"

namespace critical_sharpness::kernels {

// One parameter's part of a direction Δ, as what it is made of. Kernels make the numbers where they use them. All tensors are
// contiguous and on one device; float64 for float64 weights, else float32.

struct StoredDelta {
  at::Tensor numbers;
};

struct Formula;

/// r·(D + γθ), with D a rule's formula of its state; θ may be bfloat16; an undefined state is zeros.
struct FormulaDelta {
  const Formula* formula;
  at::Tensor weight, first, second;
  update::Constants constants;
  double learning_rate_ratio, weight_decay;  // r, γ
};

/// scale·left·right, of the shape in which the weight is stored: left [rows, rank], right [rank, columns].
struct LowRank {
  at::Tensor left, right;
  double scale = 1;
};

struct WholeDelta;

/// The first: zero throughout, and not to be read.
using Delta = std::variant<std::monostate, StoredDelta, FormulaDelta, WholeDelta>;

/// One whose numbers depend on one another: it is made whole, for one parameter at a time, before any of them is read.
struct WholeDelta {
  at::Tensor weight;
  /// What can be read in parts, every time with the same bits.
  std::function<Delta(const Cancellation&)> make;
  /// Where it is one, for those who need not make it.
  std::optional<LowRank> low_rank = std::nullopt;
};

inline bool is_zero(const Delta& delta) { return delta.index() == 0; }
inline bool is_whole(const Delta& delta) { return std::holds_alternative<WholeDelta>(delta); }
/// Its factors, or null.
inline const LowRank* low_rank(const Delta& delta) {
  const auto* whole = std::get_if<WholeDelta>(&delta);
  return whole && whole->low_rank ? &*whole->low_rank : nullptr;
}
/// A low-rank Δ of a parameter. `weight`: like it, or like the numbers from `first` on, where these are all that is kept of it.
Delta low_rank_delta(const at::Tensor& weight, LowRank factors, std::optional<int64_t> first = std::nullopt);
/// The same Δ as what can be read in parts: a whole one made, any other as it is.
Delta in_parts(const Delta& delta, const Cancellation& cancel = {});
/// A tensor on its device, of its length and, but for bfloat16 weights, of its dtype.
const at::Tensor& like(const Delta& delta);
/// `length` of its numbers from `start`.
Delta narrow(const Delta& delta, int64_t start, int64_t length);

/// On the CPU, of what can be read in parts: `length` numbers from `start`, at most chunk_length: where they lie, or made in
/// `buffer`.
const void* read(const Delta& delta, int64_t start, int64_t length, void* buffer);
/// outᵢ = Δᵢ where both are there.
void write(const std::vector<at::Tensor>& out, const std::vector<Delta>& deltas, const Cancellation& cancel = {});

}  // namespace critical_sharpness::kernels
