#include "operands.hpp"
#include "optimize.hpp"

namespace critical_sharpness::kernels {
namespace {

/// Δ = r·(a·buffer + b·gradient + γθ).
template <class T>
struct Constants {
  T a, b, ratio, decay;
};
template <class T>
CS_INLINE T delta(T weight, T buffer, T gradient, const Constants<T>& c) {
  return c.ratio * (c.a * buffer + c.b * gradient + c.decay * weight);
}
template <class T>
CS_INLINE void accumulate(T* buffer, const T* g, T momentum, int64_t n) {
  for (int64_t i = 0; i < n; i++) buffer[i] = momentum * buffer[i] + g[i];
}
template <class T>
CS_INLINE void direct(T* out, const T* w, const T* buffer, const T* g, const Constants<T>& c, int64_t n) {
  for (int64_t i = 0; i < n; i++) out[i] = delta(w[i], buffer[i], g[i], c);
}
template <class T>
CS_INLINE void take_step(T* w, const T* buffer, const T* g, const Constants<T>& c, T eta, int64_t n) {
  for (int64_t i = 0; i < n; i++) w[i] = w[i] - eta * delta(w[i], buffer[i], g[i], c);
}

// target_clones takes no templates, hence one plain function a type.
#define CS_SGD_LOOPS(T)                                                                                              \
  CS_SIMD void accumulate_loop(T* buffer, const T* g, T momentum, int64_t n) { accumulate(buffer, g, momentum, n); } \
  CS_SIMD void direct_loop(T* o, const T* w, const T* b, const T* g, const Constants<T>& c, int64_t n) { direct(o, w, b, g, c, n); } \
  CS_SIMD void step_loop(T* w, const T* b, const T* g, const Constants<T>& c, T eta, int64_t n) { take_step(w, b, g, c, eta, n); }
CS_SGD_LOOPS(float)
CS_SGD_LOOPS(double)
#undef CS_SGD_LOOPS

template <class T>
Constants<T> constants(double a, double b, double learning_rate_ratio, double weight_decay) {
  return {static_cast<T>(a), static_cast<T>(b), static_cast<T>(learning_rate_ratio), static_cast<T>(weight_decay)};
}

}  // namespace

void momentum_accumulate(const at::Tensor& buffer, const at::Tensor& gradient, double momentum) {
  with_element_type({buffer}, [&](auto type) {
    using T = decltype(type);
    for_each_chunk(chunks_of(TensorList{buffer}), [&](const Chunk& c, size_t) {
      accumulate_loop(write<T>(buffer, c), read<T>(gradient, c), static_cast<T>(momentum), c.length);
    });
  });
}

void sgd_direction(void* out, const at::Tensor& weight, const at::Tensor& buffer, double a, const at::Tensor& gradient,
                   double b, const Part& part) {
  const Chunk chunk{0, part.start, part.length, 0};
  const auto direct = [&](auto type) {
    using T = decltype(type);
    ChunkBuffer wide;
    direct_loop(static_cast<T*>(out), read_wide<T>(weight, part.start, part.length, wide), read<T>(buffer, chunk),
                read<T>(gradient, chunk), constants<T>(a, b, part.learning_rate_ratio, part.weight_decay), part.length);
  };
  if (weight.scalar_type() == at::kDouble) direct(double{});
  else direct(float{});
}

void sgd_step(const TensorList& weights, const TensorList& buffer, double a, const TensorList& gradient, double b,
              const GroupConstants& groups, double learning_rate) {
  with_element_type(weights, [&](auto type) {
    using T = decltype(type);
    for_each_chunk(chunks_of(weights), [&](const Chunk& c, size_t) {
      step_loop(write<T>(weights[c.tensor], c), read<T>(buffer[c.tensor], c), read<T>(gradient[c.tensor], c),
                constants<T>(a, b, groups.learning_rate_ratio[c.tensor], groups.weight_decay[c.tensor]), static_cast<T>(learning_rate), c.length);
    });
  });
}

}  // namespace critical_sharpness::kernels
