#pragma once
#include <ATen/core/Tensor.h>

#include <memory>
#include <vector>

#include "experts.hpp"

namespace critical_sharpness {

/// The auxiliary loss that keeps a mixture's experts equally busy, E·Σ f_e·P_e over E experts (Fedus et al. 2021, eq. 4 to 6): over the
/// tokens of all layers together, f_e is how often e is chosen a token, and P_e the mean of its probability. Of one pass of a micro-batch.
/// f is a constant to derivatives, so that it is known only once all layers were seen, which is before the way back.
class Balance {
 public:
  Balance(int64_t experts, size_t layers) : experts_(experts), layers_(layers) {}

  /// What a layer's router gives, [tokens, experts] and [tokens, chosen]. Seen again (a segment may be), it takes its own place.
  void see(size_t layer, const at::Tensor& probabilities, const at::Tensor& chosen);
  /// In float64.
  at::Tensor loss() const;
  /// Its derivative in one token's probabilities, [experts], the same for all tokens; in float64.
  at::Tensor slope() const;

  at::Tensor scale;    // of its gradient, a number in float64: set before the way back
  at::Tensor tangent;  // of a pass of tangents: its derivative along them, in float64

 private:
  struct Layer {
    at::Tensor counts, probabilities;  // [experts]
    int64_t tokens = 0;
  };
  Layer total() const;

  int64_t experts_;
  std::vector<Layer> layers_;
};

/// A router's logits, the same numbers, which its layer is seen with; their gradient has the balance's beside what comes from them.
at::Tensor balanced(const at::Tensor& logits, const Router& router, size_t layer, const std::shared_ptr<Balance>& balance);

}  // namespace critical_sharpness
