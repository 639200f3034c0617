#include "delta_at.cuh"
#include "each_number.cuh"
#include "kernels.hpp"

namespace critical_sharpness::cuda {
namespace {

/// θ ← θ − ηΔ
template <class T>
struct Step {
  T* weight;
  DeltaAt<T> delta;
  T learning_rate;
  __device__ void operator()(int64_t i) const { weight[i] = weight[i] - learning_rate * delta(i); }
};

/// A gradient into a parameter's state, by a formula.
template <class F, class T>
struct Accumulate {
  T *first, *second;  // null: the formula changes one of them
  const T* gradient;  // null: zeros
  update::Rounded<T> constants;
  __device__ void operator()(int64_t i) const {
    if constexpr (F::states == 1) F::accumulate(first[i], or_zero(gradient, i), constants.k);
    else F::accumulate(first[i], second[i], or_zero(gradient, i), constants.k);
  }
};

/// P / r
template <class F, class T>
struct Metric {
  T* out;
  const T *first, *second;  // null: zeros
  update::Rounded<T> constants;
  T ratio;
  __device__ void operator()(int64_t i) const {
    if constexpr (F::has_metric) out[i] = F::metric(or_zero(first, i), or_zero(second, i), constants.k) / ratio;
  }
};

template <class F>
struct Tag {
  using type = F;
};
/// Calls body(Tag<F>{}) with F the formula's type.
template <class Body>
void with_formula(const Formula& formula, const Body& body) {
  switch (formula.number) {
#define CS_CASE(F, name) \
  case kernels::FormulaNumber::F: return body(Tag<update::F>{});
    CS_FORMULAS(CS_CASE)
#undef CS_CASE
  }
}

/// Calls make(T{}, i) for the work of each tensor of a list, and then does it.
template <class Make>
void for_each_tensor(const TensorList& tensors, const Make& make) {
  with_type(tensors.front().scalar_type(), [&](auto type) {
    std::vector<decltype(make(type, 0))> work;
    std::vector<int64_t> lengths;
    for (size_t i = 0; i < tensors.size(); i++) {
      work.push_back(make(type, i));
      lengths.push_back(tensors[i].numel());
    }
    for_each_number(work, lengths);
  });
}

}  // namespace

void step(const std::vector<Delta>& deltas, double learning_rate) {
  TensorList weights;
  std::vector<Delta> all;
  for (const auto& delta : deltas) {
    if (kernels::is_zero(delta)) continue;
    weights.push_back(std::get<kernels::FormulaDelta>(delta).weight);
    all.push_back(delta);
  }
  for_each_tensor(weights, [&](auto type, size_t i) {
    using T = decltype(type);
    return Step<T>{weights[i].mutable_data_ptr<T>(), DeltaAt<T>(all[i]), static_cast<T>(learning_rate)};
  });
}

void accumulate(const Formula& formula, const kernels::States& states, const TensorList& gradients,
                const update::Constants& constants) {
  with_formula(formula, [&](auto tag) {
    for_each_tensor(states[0], [&](auto type, size_t i) {
      using T = decltype(type);
      T* more = formula.states > 1 ? states[1][i].template mutable_data_ptr<T>() : nullptr;
      return Accumulate<typename decltype(tag)::type, T>{states[0][i].template mutable_data_ptr<T>(), more,
                                                         numbers_of<T>(gradients[i]), update::Rounded<T>(constants)};
    });
  });
}

void write_metric(const Formula& formula, const TensorList& out, const kernels::States& states,
                  const update::Constants& constants, const std::vector<double>& learning_rate_ratio) {
  with_formula(formula, [&](auto tag) {
    for_each_tensor(out, [&](auto type, size_t i) {
      using T = decltype(type);
      return Metric<typename decltype(tag)::type, T>{out[i].template mutable_data_ptr<T>(), numbers_of<T>(states[0][i]),
                                                     numbers_of<T>(states[1][i]), update::Rounded<T>(constants),
                                                     static_cast<T>(learning_rate_ratio[i])};
    });
  });
}

}  // namespace critical_sharpness::cuda
