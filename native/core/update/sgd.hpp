#pragma once
#include "formula.hpp"
#include "rule.hpp"

namespace critical_sharpness::update {

struct SgdOptions {
  double momentum = 0;
  bool nesterov = false;
};

/// b ← μb + g; Δ = b, with Nesterov's g + μb, and γθ added: decay is decoupled from the momentum, so that Δ can be had
/// with and without it. Its Δ, k₀·first + k₁·second, is any rule's whose update is a sum of what lies somewhere.
class Sgd final : public ElementwiseRule<Sgd> {
 public:
  explicit Sgd(SgdOptions options) : options_(options) {}
  explicit Sgd(const RuleOptions& o) : Sgd({o.fraction("momentum"), o.flag("nesterov")}) {}

  static constexpr int states = 1;
  static constexpr bool has_metric = true;
  template <class T>
  CS_FORMULA void accumulate(T& buffer, T g, const T* k) {
    buffer = k[0] * buffer + g;
  }
  template <class T>
  CS_FORMULA T delta(T first, T second, const T* k) {
    return k[0] * first + k[1] * second;
  }
  template <class T>
  CS_FORMULA T metric(T, T, const T*) {
    return 1;
  }

  /// Without momentum the buffer is the gradient itself.
  std::vector<Role> roles() const override {
    std::vector<Role> all{{"momentum", options_.momentum == 0}};
    if (options_.nesterov) all.push_back({"gradient", true});
    return all;
  }
  bool accumulates() const { return options_.momentum != 0; }
  Constants accumulate_constants() const { return {options_.momentum}; }
  Constants delta_constants(int64_t) const { return {options_.nesterov ? options_.momentum : 1, options_.nesterov ? 1.0 : 0.0}; }

 private:
  SgdOptions options_;
};

}  // namespace critical_sharpness::update
