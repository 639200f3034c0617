#pragma once
#include <array>

// A formula is an update rule's arithmetic of one number, written once for both the loops of core/kernels and native/cuda's
// kernels: a type with static templates over the number's type T,
//   accumulate(first[, second], gradient, k)   takes a gradient into the state; `states` says how many numbers that changes
//   delta(first, second, k)                    Δ without the decay's part
//   metric(first, second, k)                   P, the preconditioner's diagonal; `has_metric`: whether there is one
// `first` and `second` are the state's numbers in the order of the rule's roles, and k the rule's constants for that function,
// rounded from float64 once. The project is compiled without contraction to fused multiply-add, so all have the same bits.
#ifdef __CUDACC__
#define CS_FORMULA __host__ __device__ __forceinline__ static
#else
#define CS_FORMULA __attribute__((always_inline)) static inline
#endif

namespace critical_sharpness::update {

inline constexpr int most_constants = 4;
using Constants = std::array<double, most_constants>;

/// In the arithmetic's type, as loops and kernels take them.
template <class T>
struct Rounded {
  T k[most_constants];
  explicit Rounded(const Constants& constants) {
    for (int i = 0; i < most_constants; i++) k[i] = static_cast<T>(constants[i]);
  }
  Rounded() = default;
};

}  // namespace critical_sharpness::update
