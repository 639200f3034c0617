#pragma once
#include "formula.hpp"
#include "rule.hpp"

namespace critical_sharpness::update {

/// Lion (Chen et al. 2023): c ← β₁m + (1−β₁)g, m ← β₂m + (1−β₂)g, Δ = sign(c) + γθ. It keeps c beside m: β₁m + (1−β₁)g of the m
/// before is not to be had from the m after it without rounding again, and where c is near 0 its sign is all that Δ is. The
/// gradient in its place would take as much memory, and m would lag behind what other programs call exp_avg.
class Lion final : public ElementwiseRule<Lion> {
 public:
  explicit Lion(const RuleOptions& o) : beta1_(o.fraction("beta1")), beta2_(o.fraction("beta2")) {}

  static constexpr int states = 2;
  static constexpr bool has_metric = false;
  template <class T>
  CS_FORMULA void accumulate(T& m, T& c, T g, const T* k) {
    c = k[0] * m + k[1] * g;
    m = k[2] * m + k[3] * g;
  }
  /// A NaN stays one: it must not pass for a step of 0.
  template <class T>
  CS_FORMULA T delta(T, T c, const T*) {
    return c > 0 ? T(1) : c < 0 ? T(-1) : c;
  }

  std::vector<Role> roles() const override { return {{"exp_avg"}, {"interpolation"}}; }
  Constants accumulate_constants() const { return {beta1_, 1 - beta1_, beta2_, 1 - beta2_}; }
  Constants delta_constants(int64_t) const { return {}; }

 private:
  double beta1_, beta2_;
};

}  // namespace critical_sharpness::update
