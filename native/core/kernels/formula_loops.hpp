#pragma once
#include <type_traits>

#include "formula.hpp"
#include "update/rules.hpp"

namespace critical_sharpness::kernels {

#define CS_NUMBER(F, name) F,
enum class FormulaNumber { CS_FORMULAS(CS_NUMBER) };
#undef CS_NUMBER

template <class T>
struct DeltaConstants : update::Rounded<T> {
  T ratio, decay;
  DeltaConstants(const update::Constants& constants, double learning_rate_ratio, double weight_decay)
      : update::Rounded<T>(constants), ratio(static_cast<T>(learning_rate_ratio)), decay(static_cast<T>(weight_decay)) {}
  explicit DeltaConstants(const FormulaDelta& d) : DeltaConstants(d.constants, d.learning_rate_ratio, d.weight_decay) {}
};

/// Each over n numbers of one parameter.
template <class T>
struct FormulaLoops {
  void (*accumulate)(T* first, T* second, const T* gradient, const T* constants, int64_t n);
  void (*make)(T* out, const T* weight, const T* first, const T* second, const DeltaConstants<T>& constants, int64_t n);
  void (*step)(T* weight, const T* first, const T* second, const DeltaConstants<T>& constants, T learning_rate, int64_t n);
  void (*metric)(T* out, const T* first, const T* second, const DeltaConstants<T>& constants, int64_t n);
};

struct Formula {
  FormulaNumber number;
  int states;  // how many of them a gradient changes
  FormulaLoops<float> float32;
  FormulaLoops<double> float64;

  template <class T>
  const FormulaLoops<T>& loops() const {
    if constexpr (std::is_same_v<T, double>) return float64;
    else return float32;
  }
};

}  // namespace critical_sharpness::kernels
