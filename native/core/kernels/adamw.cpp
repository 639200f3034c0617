#include <cmath>

#include "delta_loops.hpp"
#include "device.hpp"
#include "operands.hpp"
#include "optimize.hpp"

namespace critical_sharpness::kernels {
namespace {

template <class T>
struct Constants {
  T c1, inverse_sqrt_c2, epsilon, ratio, decay;
  Constants(const AdamWConstants& c, double learning_rate_ratio, double weight_decay)
      : c1(static_cast<T>(c.bias_correction1)),
        inverse_sqrt_c2(static_cast<T>(1 / std::sqrt(c.bias_correction2))),
        epsilon(static_cast<T>(c.epsilon)),
        ratio(static_cast<T>(learning_rate_ratio)),
        decay(static_cast<T>(weight_decay)) {}
  explicit Constants(const AdamWDelta& d) : Constants(d.constants, d.learning_rate_ratio, d.weight_decay) {}
};

template <class T>
CS_INLINE T diagonal(T v, const Constants<T>& c) {
  return c.c1 * (std::sqrt(v) * c.inverse_sqrt_c2 + c.epsilon);
}
/// The one expression of Δ: written out, or subtracted at once.
template <class T>
CS_INLINE T delta(T weight, T m, T v, const Constants<T>& c) {
  return c.ratio * (m / diagonal(v, c) + c.decay * weight);
}

template <class T>
CS_INLINE void accumulate(T* m, T* v, const T* g, double beta1, double beta2, int64_t n) {
  // 1 − β before it is rounded: that of a rounded 0.999 is 1.3e-5 off, and that of a rounded 1 − 1e-8 is 0.
  const T b1 = static_cast<T>(beta1), a1 = static_cast<T>(1 - beta1);
  const T b2 = static_cast<T>(beta2), a2 = static_cast<T>(1 - beta2);
  for (int64_t i = 0; i < n; i++) {
    m[i] = b1 * m[i] + a1 * g[i];
    v[i] = b2 * v[i] + a2 * (g[i] * g[i]);
  }
}
template <class T>
CS_INLINE void direct(T* out, const T* w, const T* m, const T* v, const Constants<T>& c, int64_t n) {
  for (int64_t i = 0; i < n; i++) out[i] = delta(w[i], m[i], v[i], c);
}
template <class T>
CS_INLINE void take_step(T* w, const T* m, const T* v, const Constants<T>& c, T eta, int64_t n) {
  for (int64_t i = 0; i < n; i++) w[i] = w[i] - eta * delta(w[i], m[i], v[i], c);
}
template <class T>
CS_INLINE void precondition(T* out, const T* v, const Constants<T>& c, int64_t n) {
  for (int64_t i = 0; i < n; i++) out[i] = diagonal(v[i], c) / c.ratio;
}

// target_clones takes no templates, hence one plain function a type.
#define CS_ADAMW_LOOPS(T)                                                                                            \
  CS_SIMD void accumulate_loop(T* m, T* v, const T* g, double b1, double b2, int64_t n) { accumulate(m, v, g, b1, b2, n); } \
  CS_SIMD void direct_loop(T* o, const T* w, const T* m, const T* v, const Constants<T>& c, int64_t n) { direct(o, w, m, v, c, n); } \
  CS_SIMD void step_loop(T* w, const T* m, const T* v, const Constants<T>& c, T eta, int64_t n) { take_step(w, m, v, c, eta, n); } \
  CS_SIMD void precondition_loop(T* o, const T* v, const Constants<T>& c, int64_t n) { precondition(o, v, c, n); }
CS_ADAMW_LOOPS(float)
CS_ADAMW_LOOPS(double)
#undef CS_ADAMW_LOOPS

}  // namespace

void adamw_accumulate(const TensorList& m, const TensorList& v, const TensorList& gradients, double beta1, double beta2,
                      const Cancellation& cancel) {
  if (m.empty()) return;
  CS_ON_CUDA(m.front(), adamw_accumulate(m, v, gradients, beta1, beta2));
  with_element_type(m, [&](auto type) {
    using T = decltype(type);
    for_each_chunk(chunks_of(m), cancel, [&](const Chunk& c, size_t) {
      accumulate_loop(write<T>(m[c.tensor], c), write<T>(v[c.tensor], c), read<T>(gradients[c.tensor], c), beta1, beta2,
                      c.length);
    });
  });
}

void make_chunk(void* out, const AdamWDelta& delta, int64_t start, int64_t length) {
  with_element_type({delta.m}, [&](auto type) {
    using T = decltype(type);
    ChunkBuffer buffer;
    direct_loop(static_cast<T*>(out), read_wide<T>(delta.weight, start, length, buffer), delta.m.const_data_ptr<T>() + start,
                delta.v.const_data_ptr<T>() + start, Constants<T>(delta), length);
  });
}

void step_chunk(const AdamWDelta& delta, double learning_rate, int64_t start, int64_t length) {
  with_element_type({delta.m}, [&](auto type) {
    using T = decltype(type);
    step_loop(delta.weight.mutable_data_ptr<T>() + start, delta.m.const_data_ptr<T>() + start,
              delta.v.const_data_ptr<T>() + start, Constants<T>(delta), static_cast<T>(learning_rate), length);
  });
}

void adamw_preconditioner(const TensorList& out, const TensorList& v, const AdamWConstants& constants,
                          const std::vector<double>& learning_rate_ratio, const Cancellation& cancel) {
  if (out.empty()) return;
  CS_ON_CUDA(out.front(), adamw_preconditioner(out, v, constants, learning_rate_ratio));
  with_element_type(v, [&](auto type) {
    using T = decltype(type);
    for_each_chunk(chunks_of(out), cancel, [&](const Chunk& c, size_t) {
      precondition_loop(write<T>(out[c.tensor], c), read<T>(v[c.tensor], c),
                        Constants<T>(constants, learning_rate_ratio[c.tensor], 0), c.length);
    });
  });
}

}  // namespace critical_sharpness::kernels
