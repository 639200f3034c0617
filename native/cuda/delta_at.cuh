#pragma once
#include <c10/util/BFloat16.h>

#include <type_traits>

#include "kernels/delta.hpp"
#include "kernels/formula_loops.hpp"
#include "launch.cuh"

namespace critical_sharpness::cuda {

using kernels::Delta;

template <class T>
const T* numbers_of(const at::Tensor& tensor) {
  return tensor.defined() ? tensor.const_data_ptr<T>() : nullptr;
}

template <class T>
__device__ T or_zero(const T* numbers, int64_t i) {
  return numbers ? numbers[i] : T(0);
}

/// A weight's numbers in T: stored so, or in bfloat16.
template <class T>
struct WeightAt {
  const T* numbers = nullptr;
  const c10::BFloat16* narrow = nullptr;

  WeightAt() = default;
  explicit WeightAt(const at::Tensor& weight) {
    if (weight.scalar_type() == at::kBFloat16) narrow = weight.const_data_ptr<c10::BFloat16>();
    else numbers = weight.const_data_ptr<T>();
  }
  __device__ T operator()(int64_t i) const { return numbers ? numbers[i] : static_cast<T>(static_cast<float>(narrow[i])); }
};

/// Δ's numbers in T, with the bits of core/kernels: the same formulas, and no contraction to fused multiply-add.
template <class T>
struct DeltaAt {
  enum class Kind { zero, stored, formula } kind = Kind::zero;
  kernels::FormulaNumber number = {};
  WeightAt<T> weight;
  const T *first = nullptr, *second = nullptr;  // the stored numbers; the state's, null: zeros
  update::Rounded<T> constants;
  T ratio = 1, decay = 0;

  DeltaAt() = default;
  explicit DeltaAt(const Delta& delta) {
    if (const auto* stored = std::get_if<kernels::StoredDelta>(&delta)) {
      kind = Kind::stored;
      first = stored->numbers.const_data_ptr<T>();
    } else if (const auto* made = std::get_if<kernels::FormulaDelta>(&delta)) {
      kind = Kind::formula;
      number = made->formula->number;
      weight = WeightAt<T>(made->weight);
      first = numbers_of<T>(made->first);
      second = numbers_of<T>(made->second);
      constants = update::Rounded<T>(made->constants);
      ratio = static_cast<T>(made->learning_rate_ratio);
      decay = static_cast<T>(made->weight_decay);
    }
  }

  __device__ T operator()(int64_t i) const {
    if (kind == Kind::zero) return 0;
    if (kind == Kind::stored) return first[i];
    return ratio * (formula(or_zero(first, i), or_zero(second, i)) + decay * weight(i));
  }

 private:
  __device__ T formula(T a, T b) const {
    switch (number) {
#define CS_DELTA(F, name) \
  case kernels::FormulaNumber::F: return update::F::delta(a, b, constants.k);
      CS_FORMULAS(CS_DELTA)
#undef CS_DELTA
    }
    return 0;
  }
};

/// Calls body(T{}) with T the element type of what is made of a tensor of this dtype.
template <class Body>
auto with_type(at::ScalarType dtype, const Body& body) {
  return dtype == at::kDouble ? body(double{}) : body(float{});
}

}  // namespace critical_sharpness::cuda
