#include "formula.hpp"

#include "device.hpp"
#include "formula_loops.hpp"
#include "operands.hpp"
#include "update/rules.hpp"

namespace critical_sharpness::kernels {
namespace {

using update::Rounded;

template <class F, class T>
CS_INLINE void accumulate_numbers(T* first, T* second, const T* g, const T* constants, int64_t n) {
  const T k[] = {constants[0], constants[1], constants[2], constants[3]};
  for (int64_t i = 0; i < n; i++) {
    if constexpr (F::states == 1) F::accumulate(first[i], g[i], k);
    else F::accumulate(first[i], second[i], g[i], k);
  }
}
/// The one expression of Δ: written out, or subtracted at once.
template <class F, class T>
CS_INLINE T delta(T weight, T first, T second, const T* k, T ratio, T decay) {
  return ratio * (F::delta(first, second, k) + decay * weight);
}
template <class F, class T>
CS_INLINE void make_numbers(T* out, const T* w, const T* first, const T* second, const DeltaConstants<T>& c, int64_t n) {
  const DeltaConstants<T> own = c;
  for (int64_t i = 0; i < n; i++) out[i] = delta<F>(w[i], first[i], second[i], own.k, own.ratio, own.decay);
}
template <class F, class T>
CS_INLINE void step_numbers(T* w, const T* first, const T* second, const DeltaConstants<T>& c, T eta, int64_t n) {
  const DeltaConstants<T> own = c;
  for (int64_t i = 0; i < n; i++) w[i] = w[i] - eta * delta<F>(w[i], first[i], second[i], own.k, own.ratio, own.decay);
}
template <class F, class T>
CS_INLINE void metric_numbers(T* out, const T* first, const T* second, const DeltaConstants<T>& c, int64_t n) {
  [[maybe_unused]] const DeltaConstants<T> own = c;
  if constexpr (F::has_metric)
    for (int64_t i = 0; i < n; i++) out[i] = F::metric(first[i], second[i], own.k) / own.ratio;
}

// target_clones takes no templates, hence plain functions for each formula and type.
#define CS_LOOPS(F, T)                                                                                                       \
  CS_SIMD void F##_accumulate(T* a, T* b, const T* g, const T* k, int64_t n) { accumulate_numbers<update::F>(a, b, g, k, n); } \
  CS_SIMD void F##_make(T* o, const T* w, const T* a, const T* b, const DeltaConstants<T>& c, int64_t n) {                     \
    make_numbers<update::F>(o, w, a, b, c, n);                                                                                 \
  }                                                                                                                            \
  CS_SIMD void F##_step(T* w, const T* a, const T* b, const DeltaConstants<T>& c, T eta, int64_t n) {                          \
    step_numbers<update::F>(w, a, b, c, eta, n);                                                                               \
  }                                                                                                                            \
  CS_SIMD void F##_metric(T* o, const T* a, const T* b, const DeltaConstants<T>& c, int64_t n) {                               \
    metric_numbers<update::F>(o, a, b, c, n);                                                                                  \
  }
#define CS_FORMULA_LOOPS(F, name) CS_LOOPS(F, float) CS_LOOPS(F, double)
CS_FORMULAS(CS_FORMULA_LOOPS)
#undef CS_FORMULA_LOOPS
#undef CS_LOOPS

}  // namespace

namespace {

template <class F>
struct LoopsOf;
#define CS_LOOPS_OF(F, name)                                                                                              \
  template <>                                                                                                             \
  struct LoopsOf<update::F> {                                                                                             \
    static constexpr FormulaNumber number = FormulaNumber::F;                                                             \
    static constexpr FormulaLoops<float> float32{F##_accumulate, F##_make, F##_step, F##_metric};                         \
    static constexpr FormulaLoops<double> float64{F##_accumulate, F##_make, F##_step, F##_metric};                        \
  };
CS_FORMULAS(CS_LOOPS_OF)
#undef CS_LOOPS_OF

}  // namespace

template <class F>
const Formula& formula() {
  static const Formula loops{LoopsOf<F>::number, F::states, LoopsOf<F>::float32, LoopsOf<F>::float64};
  return loops;
}
#define CS_INSTANCE(F, name) template const Formula& formula<update::F>();
CS_FORMULAS(CS_INSTANCE)
#undef CS_INSTANCE

void accumulate(const Formula& formula, const States& states, const TensorList& gradients, const update::Constants& constants,
                const Cancellation& cancel) {
  const auto& [first, second] = states;
  if (first.empty()) return;
  CS_ON_CUDA(first.front(), accumulate(formula, states, gradients, constants));
  with_element_type(first, [&](auto type) {
    using T = decltype(type);
    const Rounded<T> rounded(constants);
    for_each_chunk(chunks_of(first), cancel, [&](const Chunk& c, size_t) {
      T* more = formula.states > 1 ? write<T>(second[c.tensor], c) : nullptr;
      formula.loops<T>().accumulate(write<T>(first[c.tensor], c), more, read<T>(gradients[c.tensor], c), rounded.k, c.length);
    });
  });
}

void write_metric(const Formula& formula, const TensorList& out, const States& states, const update::Constants& constants,
                  const std::vector<double>& learning_rate_ratio, const Cancellation& cancel) {
  const auto& [first, second] = states;
  if (out.empty()) return;
  CS_ON_CUDA(out.front(), write_metric(formula, out, states, constants, learning_rate_ratio));
  with_element_type(out, [&](auto type) {
    using T = decltype(type);
    for_each_chunk(chunks_of(out), cancel, [&](const Chunk& c, size_t) {
      formula.loops<T>().metric(write<T>(out[c.tensor], c), read<T>(first[c.tensor], c), read<T>(second[c.tensor], c),
                                DeltaConstants<T>(constants, learning_rate_ratio[c.tensor], 0), c.length);
    });
  });
}

namespace {

/// Calls body(T{}) with T the Δ's element type.
template <class Body>
void with_type(const FormulaDelta& delta, const Body& body) {
  if (delta.weight.scalar_type() == at::kDouble) body(double{});
  else body(float{});
}

}  // namespace

void make_chunk(void* out, const FormulaDelta& delta, int64_t start, int64_t length) {
  const Chunk chunk{0, start, length, 0};
  with_type(delta, [&](auto type) {
    using T = decltype(type);
    ChunkBuffer wide;
    delta.formula->loops<T>().make(static_cast<T*>(out), read_wide<T>(delta.weight, start, length, wide),
                                   read<T>(delta.first, chunk), read<T>(delta.second, chunk), DeltaConstants<T>(delta), length);
  });
}

void step_chunk(const FormulaDelta& delta, double learning_rate, int64_t start, int64_t length) {
  const Chunk chunk{0, start, length, 0};
  with_type(delta, [&](auto type) {
    using T = decltype(type);
    delta.formula->loops<T>().step(write<T>(delta.weight, chunk), read<T>(delta.first, chunk), read<T>(delta.second, chunk),
                                   DeltaConstants<T>(delta), static_cast<T>(learning_rate), length);
  });
}

}  // namespace critical_sharpness::kernels
