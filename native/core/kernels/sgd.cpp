#include "delta_loops.hpp"
#include "device.hpp"
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
Constants<T> constants(const SgdDelta& d) {
  return {static_cast<T>(d.a), static_cast<T>(d.b), static_cast<T>(d.learning_rate_ratio), static_cast<T>(d.weight_decay)};
}

/// Calls body(T{}) with T the deltas' element type.
template <class Body>
void with_type(const SgdDelta& delta, const Body& body) {
  if (delta.weight.scalar_type() == at::kDouble) body(double{});
  else body(float{});
}

}  // namespace

void momentum_accumulate(const TensorList& buffers, const TensorList& gradients, double momentum, const Cancellation& cancel) {
  if (buffers.empty()) return;
  CS_ON_CUDA(buffers.front(), momentum_accumulate(buffers, gradients, momentum));
  with_element_type(buffers, [&](auto type) {
    using T = decltype(type);
    for_each_chunk(chunks_of(buffers), cancel, [&](const Chunk& c, size_t) {
      accumulate_loop(write<T>(buffers[c.tensor], c), read<T>(gradients[c.tensor], c), static_cast<T>(momentum), c.length);
    });
  });
}

void make_chunk(void* out, const SgdDelta& delta, int64_t start, int64_t length) {
  const Chunk chunk{0, start, length, 0};
  with_type(delta, [&](auto type) {
    using T = decltype(type);
    ChunkBuffer wide;
    direct_loop(static_cast<T*>(out), read_wide<T>(delta.weight, start, length, wide), read<T>(delta.buffer, chunk),
                read<T>(delta.gradient, chunk), constants<T>(delta), length);
  });
}

void step_chunk(const SgdDelta& delta, double learning_rate, int64_t start, int64_t length) {
  const Chunk chunk{0, start, length, 0};
  with_type(delta, [&](auto type) {
    using T = decltype(type);
    step_loop(write<T>(delta.weight, chunk), read<T>(delta.buffer, chunk), read<T>(delta.gradient, chunk),
              constants<T>(delta), static_cast<T>(learning_rate), length);
  });
}

}  // namespace critical_sharpness::kernels
