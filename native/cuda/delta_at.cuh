#pragma once
#include <c10/util/BFloat16.h>

#include <cmath>
#include <type_traits>

#include "kernels/delta.hpp"
#include "launch.cuh"

namespace critical_sharpness::cuda {

using kernels::Delta;

template <class T>
const T* numbers_of(const at::Tensor& tensor) {
  return tensor.defined() ? tensor.const_data_ptr<T>() : nullptr;
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

/// Δ's numbers in T, with the bits of core/kernels: the same expressions, and no contraction to fused multiply-add.
template <class T>
struct DeltaAt {
  enum class Kind { zero, stored, adamw, sgd } kind = Kind::zero;
  WeightAt<T> weight;
  const T *first = nullptr, *second = nullptr;  // the numbers; m, v; buffer, gradient
  T a = 0, b = 0, c = 0;                        // c₁, 1/√c₂, ε; a, b
  T ratio = 1, decay = 0;

  DeltaAt() = default;
  explicit DeltaAt(const Delta& delta) {
    if (const auto* stored = std::get_if<kernels::StoredDelta>(&delta)) {
      kind = Kind::stored;
      first = stored->numbers.const_data_ptr<T>();
    } else if (const auto* adamw = std::get_if<kernels::AdamWDelta>(&delta)) {
      kind = Kind::adamw;
      weight = WeightAt<T>(adamw->weight);
      first = adamw->m.const_data_ptr<T>();
      second = adamw->v.const_data_ptr<T>();
      a = static_cast<T>(adamw->constants.bias_correction1);
      b = static_cast<T>(1 / std::sqrt(adamw->constants.bias_correction2));
      c = static_cast<T>(adamw->constants.epsilon);
      set_group(adamw->learning_rate_ratio, adamw->weight_decay);
    } else if (const auto* sgd = std::get_if<kernels::SgdDelta>(&delta)) {
      kind = Kind::sgd;
      weight = WeightAt<T>(sgd->weight);
      first = numbers_of<T>(sgd->buffer);
      second = numbers_of<T>(sgd->gradient);
      a = static_cast<T>(sgd->a);
      b = static_cast<T>(sgd->b);
      set_group(sgd->learning_rate_ratio, sgd->weight_decay);
    }
  }

  __device__ T operator()(int64_t i) const {
    switch (kind) {
      case Kind::stored: return first[i];
      case Kind::adamw: return ratio * (first[i] / (a * (std::sqrt(second[i]) * b + c)) + decay * weight(i));
      case Kind::sgd: return ratio * (a * or_zero(first, i) + b * or_zero(second, i) + decay * weight(i));
      case Kind::zero: break;
    }
    return 0;
  }

 private:
  void set_group(double learning_rate_ratio, double weight_decay) {
    ratio = static_cast<T>(learning_rate_ratio);
    decay = static_cast<T>(weight_decay);
  }
  __device__ static T or_zero(const T* numbers, int64_t i) { return numbers ? numbers[i] : T(0); }
};

/// Calls body(T{}) with T the element type of what is made of a tensor of this dtype.
template <class Body>
auto with_type(at::ScalarType dtype, const Body& body) {
  return dtype == at::kDouble ? body(double{}) : body(float{});
}

}  // namespace critical_sharpness::cuda
