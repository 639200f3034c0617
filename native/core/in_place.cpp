#include "in_place.hpp"

#include <cstring>

namespace critical_sharpness {
namespace {

constexpr int8_t far_away = -128;

template <class T>
struct BitsOf;
template <>
struct BitsOf<float> { using type = int32_t; };
template <>
struct BitsOf<double> { using type = int64_t; };
template <class T>
using Bits = typename BitsOf<T>::type;

template <class T>
CS_INLINE Bits<T> bits(T x) {
  Bits<T> b;
  std::memcpy(&b, &x, sizeof b);
  return b;
}
template <class T>
CS_INLINE T value(Bits<T> b) {
  T x;
  std::memcpy(&x, &b, sizeof x);
  return x;
}
/// Wraps around instead of overflowing.
template <class B>
CS_INLINE B subtract(B a, B b) {
  using U = std::make_unsigned_t<B>;
  return static_cast<B>(static_cast<U>(a) - static_cast<U>(b));
}

/// Writes each value's distance and returns how many are far.
template <class T>
CS_INLINE int64_t distances(int8_t* out, const T* weight, const T* direction, T eta, int64_t n) {
  int64_t far = 0;
  for (int64_t i = 0; i < n; i++) {
    const T step = eta * direction[i];
    const T back = (weight[i] - step) + step;
    const auto distance = subtract(bits(weight[i]), bits(back));
    // Which of two NaNs an addition passes on is the compiler's choice, and may not be the same when it is undone.
    const bool is_far = distance < -127 || distance > 127 || back != back;
    out[i] = static_cast<int8_t>(is_far ? far_away : distance);
    far += is_far;
  }
  return far;
}
template <class T>
CS_INLINE void apply(T* weight, const T* direction, T eta, int64_t n) {
  for (int64_t i = 0; i < n; i++) weight[i] = weight[i] - eta * direction[i];
}
template <class T>
CS_INLINE void undo(T* weight, const T* direction, T eta, const int8_t* distance, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    const T back = weight[i] + eta * direction[i];
    weight[i] = value<T>(subtract<Bits<T>>(bits(back), -static_cast<Bits<T>>(distance[i])));
  }
}

CS_SIMD int64_t distances_f32(int8_t* o, const float* w, const float* d, float e, int64_t n) { return distances(o, w, d, e, n); }
CS_SIMD int64_t distances_f64(int8_t* o, const double* w, const double* d, double e, int64_t n) { return distances(o, w, d, e, n); }
CS_SIMD void apply_f32(float* w, const float* d, float e, int64_t n) { apply(w, d, e, n); }
CS_SIMD void apply_f64(double* w, const double* d, double e, int64_t n) { apply(w, d, e, n); }
CS_SIMD void undo_f32(float* w, const float* d, float e, const int8_t* o, int64_t n) { undo(w, d, e, o, n); }
CS_SIMD void undo_f64(double* w, const double* d, double e, const int8_t* o, int64_t n) { undo(w, d, e, o, n); }

template <class T, class Distances, class Apply>
void apply_chunk(T* weight, const T* direction, T eta, int8_t* distance, std::vector<uint64_t>& far, int64_t n,
                 const Distances& measure, const Apply& write) {
  // Everything that can throw comes before the first weight changes.
  far.clear();
  const int64_t count = measure(distance, weight, direction, eta, n);
  if (count > 0) {
    far.reserve(static_cast<size_t>(count));
    for (int64_t i = 0; i < n; i++)
      if (distance[i] == far_away) far.push_back(static_cast<uint64_t>(bits(weight[i])));
  }
  write(weight, direction, eta, n);
}

template <class T, class Undo>
void undo_chunk(T* weight, const T* direction, T eta, const int8_t* distance, std::vector<uint64_t>& far, int64_t n,
                const Undo& put_back) {
  put_back(weight, direction, eta, distance, n);
  if (far.empty()) return;
  size_t next = 0;
  for (int64_t i = 0; i < n; i++)
    if (distance[i] == far_away) weight[i] = value<T>(static_cast<Bits<T>>(far[next++]));
  // One step far too long must not leave eight bytes a weight behind for good.
  if (static_cast<int64_t>(far.capacity()) > n / 256) std::vector<uint64_t>().swap(far);
}

}  // namespace

InPlacePerturbation::InPlacePerturbation(std::vector<at::Tensor>& weights, const ParameterVector& direction,
                                         double learning_rate, InPlaceStorage& storage)
    : weights_(weights),
      direction_(direction),
      learning_rate_(learning_rate),
      storage_(storage),
      chunks_(kernels::chunks_of(direction.tensors())),
      applied_(chunks_.size(), 0) {
  storage_.distance.resize(chunks_.empty() ? 0 : static_cast<size_t>(chunks_.back().offset + chunks_.back().length));
  storage_.far.resize(chunks_.size());
  try {
    kernels::for_each_chunk(chunks_, [&](const kernels::Chunk& c, size_t k) {
      int8_t* distance = storage_.distance.data() + c.offset;
      const at::Tensor& delta = direction_[c.tensor];
      if (delta.scalar_type() == at::kDouble)
        apply_chunk(weights_[c.tensor].mutable_data_ptr<double>() + c.start, delta.const_data_ptr<double>() + c.start,
                    learning_rate_, distance, storage_.far[k], c.length, distances_f64, apply_f64);
      else
        apply_chunk(weights_[c.tensor].mutable_data_ptr<float>() + c.start, delta.const_data_ptr<float>() + c.start,
                    static_cast<float>(learning_rate_), distance, storage_.far[k], c.length, distances_f32, apply_f32);
      applied_[k] = 1;
    });
  } catch (...) {
    restore();
    throw;
  }
}

InPlacePerturbation::~InPlacePerturbation() { restore(); }

void InPlacePerturbation::restore() noexcept {
  kernels::for_each_chunk(chunks_, [&](const kernels::Chunk& c, size_t k) {
    if (!applied_[k]) return;
    const int8_t* distance = storage_.distance.data() + c.offset;
    const at::Tensor& delta = direction_[c.tensor];
    if (delta.scalar_type() == at::kDouble)
      undo_chunk(weights_[c.tensor].mutable_data_ptr<double>() + c.start, delta.const_data_ptr<double>() + c.start,
                 learning_rate_, distance, storage_.far[k], c.length, undo_f64);
    else
      undo_chunk(weights_[c.tensor].mutable_data_ptr<float>() + c.start, delta.const_data_ptr<float>() + c.start,
                 static_cast<float>(learning_rate_), distance, storage_.far[k], c.length, undo_f32);
    applied_[k] = 0;
  });
}

}  // namespace critical_sharpness
