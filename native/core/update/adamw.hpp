#pragma once
#include <cmath>

#include "formula.hpp"
#include "rule.hpp"

namespace critical_sharpness::update {

struct AdamWOptions {
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
};

/// AdamW (Loshchilov & Hutter 2019): m ← β₁m + (1−β₁)g, v ← β₂v + (1−β₂)g², Δ = m/P + γθ with P = (1 − β₁ᵗ)(√v̂ + ε) and
/// v̂ = v/(1 − β₂ᵗ).
class AdamW final : public ElementwiseRule<AdamW> {
 public:
  explicit AdamW(AdamWOptions options) : options_(options) {}
  explicit AdamW(const RuleOptions& o) : AdamW({o.fraction("beta1"), o.fraction("beta2"), o.nonnegative("epsilon")}) {}

  static constexpr int states = 2;
  static constexpr bool has_metric = true;
  template <class T>
  CS_FORMULA void accumulate(T& m, T& v, T g, const T* k) {
    m = k[0] * m + k[1] * g;
    v = k[2] * v + k[3] * (g * g);
  }
  template <class T>
  CS_FORMULA T metric(T, T v, const T* k) {
    return k[0] * (std::sqrt(v) * k[1] + k[2]);
  }
  template <class T>
  CS_FORMULA T delta(T m, T v, const T* k) {
    return m / metric(m, v, k);
  }

  std::vector<Role> roles() const override { return {{"exp_avg"}, {"exp_avg_sq"}}; }
  /// 1 − β before it is rounded: that of a rounded 0.999 is 1.3e-5 off, and that of a rounded 1 − 1e-8 is 0.
  Constants accumulate_constants() const { return {options_.beta1, 1 - options_.beta1, options_.beta2, 1 - options_.beta2}; }
  Constants delta_constants(int64_t steps) const {
    const auto t = static_cast<double>(steps);
    return {1 - std::pow(options_.beta1, t), 1 / std::sqrt(1 - std::pow(options_.beta2, t)), options_.epsilon};
  }

 private:
  AdamWOptions options_;
};

}  // namespace critical_sharpness::update
