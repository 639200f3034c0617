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

template <class T>
struct AdamWMoments {
  T *m, *v;
  const T* gradient;  // null: zeros
  T b1, a1, b2, a2;   // β, and 1 − β before it is rounded
  __device__ void operator()(int64_t i) const {
    const T g = gradient ? gradient[i] : T(0);
    m[i] = b1 * m[i] + a1 * g;
    v[i] = b2 * v[i] + a2 * (g * g);
  }
};

template <class T>
struct Preconditioner {
  T* out;
  const T* v;
  T c1, inverse_sqrt_c2, epsilon, ratio;
  __device__ void operator()(int64_t i) const { out[i] = c1 * (std::sqrt(v[i]) * inverse_sqrt_c2 + epsilon) / ratio; }
};

template <class T>
struct Momentum {
  T* buffer;
  const T* gradient;
  T momentum;
  __device__ void operator()(int64_t i) const { buffer[i] = momentum * buffer[i] + (gradient ? gradient[i] : T(0)); }
};

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

const at::Tensor& weight_of(const Delta& delta) {
  if (const auto* adamw = std::get_if<kernels::AdamWDelta>(&delta)) return adamw->weight;
  return std::get<kernels::SgdDelta>(delta).weight;
}

}  // namespace

void step(const std::vector<Delta>& deltas, double learning_rate) {
  TensorList weights;
  for (const auto& delta : deltas) weights.push_back(weight_of(delta));
  for_each_tensor(weights, [&](auto type, size_t i) {
    using T = decltype(type);
    return Step<T>{weights[i].mutable_data_ptr<T>(), DeltaAt<T>(deltas[i]), static_cast<T>(learning_rate)};
  });
}

void adamw_accumulate(const TensorList& m, const TensorList& v, const TensorList& gradients, double beta1, double beta2) {
  for_each_tensor(m, [&](auto type, size_t i) {
    using T = decltype(type);
    return AdamWMoments<T>{m[i].mutable_data_ptr<T>(), v[i].mutable_data_ptr<T>(), numbers_of<T>(gradients[i]),
                           static_cast<T>(beta1),      static_cast<T>(1 - beta1),  static_cast<T>(beta2),
                           static_cast<T>(1 - beta2)};
  });
}

void adamw_preconditioner(const TensorList& out, const TensorList& v, const AdamWConstants& constants,
                          const std::vector<double>& learning_rate_ratio) {
  for_each_tensor(out, [&](auto type, size_t i) {
    using T = decltype(type);
    return Preconditioner<T>{out[i].mutable_data_ptr<T>(), v[i].const_data_ptr<T>(),
                             static_cast<T>(constants.bias_correction1),
                             static_cast<T>(1 / std::sqrt(constants.bias_correction2)),
                             static_cast<T>(constants.epsilon), static_cast<T>(learning_rate_ratio[i])};
  });
}

void momentum_accumulate(const TensorList& buffers, const TensorList& gradients, double momentum) {
  for_each_tensor(buffers, [&](auto type, size_t i) {
    using T = decltype(type);
    return Momentum<T>{buffers[i].mutable_data_ptr<T>(), numbers_of<T>(gradients[i]), static_cast<T>(momentum)};
  });
}

}  // namespace critical_sharpness::cuda
