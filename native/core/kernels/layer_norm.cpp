#include "layer_norm.hpp"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <cmath>
#include <vector>

#include "rows.hpp"

namespace critical_sharpness::kernels {
namespace {

/// Returns 1/σ.
template <class T>
CS_INLINE T normalize(const T* __restrict x, const T* __restrict w, const T* __restrict b, T* __restrict y,
                      T* __restrict normal, T epsilon, int64_t n) {
  const T inverse = T(1) / static_cast<T>(n);
  const T mean = row_sum<T>(n, [&](int64_t i) { return x[i]; }) * inverse;
  const T variance = row_sum<T>(n, [&](int64_t i) { return (x[i] - mean) * (x[i] - mean); }) * inverse;
  const T scale = T(1) / std::sqrt(variance + epsilon);
  for (int64_t i = 0; i < n; i++) {
    normal[i] = (x[i] - mean) * scale;
    y[i] = normal[i] * w[i] + b[i];
  }
  return scale;
}

/// out ← (v − mean(v) − x̂·mean(v·x̂))/σ: what the normalisation's Jacobian, which is symmetric, does. Returns mean(v·x̂).
template <class T>
CS_INLINE T project(const T* v, const T* normal, T* out, T scale, int64_t n) {
  const T inverse = T(1) / static_cast<T>(n);
  const T mean = row_sum<T>(n, [&](int64_t i) { return v[i]; }) * inverse;
  const T along = row_sum<T>(n, [&](int64_t i) { return v[i] * normal[i]; }) * inverse;
  for (int64_t i = 0; i < n; i++) out[i] = (v[i] - mean - normal[i] * along) * scale;
  return along;
}

template <class T>
CS_INLINE void first_order(const T* g, const T* normal, const T* w, T* x, T scale, int64_t n) {
  for (int64_t i = 0; i < n; i++) x[i] = g[i] * w[i];
  project(x, normal, x, scale, n);
}

template <class T>
struct Row {
  const T *normal, *w, *w_dot;
  T scale;
};

/// Returns mean(x̂ẋ)/σ.
template <class T>
CS_INLINE T move(const Row<T>& r, const T* x_dot, const T* b_dot, T* y_dot, T* normal_dot, int64_t n) {
  const T along = project(x_dot, r.normal, normal_dot, r.scale, n);
  for (int64_t i = 0; i < n; i++) y_dot[i] = normal_dot[i] * r.w[i] + r.normal[i] * r.w_dot[i] + b_dot[i];
  return along * r.scale;
}

template <class T>
struct Second {
  const T *g, *kept, *normal_dot;
  T along;
  T *x, *b, *w_sum, *b_sum;  // b: room for a row
};
/// With b = γ·kept (into x̂'s tangent), x's gradient is (a − mean(a) − x̂·(mean(a·x̂) + mean(b·x̂̇)))/σ where
/// a = γg + γ̇·kept − b·mean(x̂ẋ)/σ − (x̂̇ + x̂·mean(x̂ẋ)/σ)·mean(b·x̂).
template <class T>
CS_INLINE void second_order(const Row<T>& r, const Second<T>& s, int64_t n) {
  const T inverse = T(1) / static_cast<T>(n);
  for (int64_t i = 0; i < n; i++) {
    s.w_sum[i] += s.g[i] * r.normal[i] + s.kept[i] * s.normal_dot[i];
    s.b_sum[i] += s.g[i];
    s.b[i] = s.kept[i] * r.w[i];
  }
  const T b_along = row_sum<T>(n, [&](int64_t i) { return s.b[i] * r.normal[i]; }) * inverse;
  const T b_bent = row_sum<T>(n, [&](int64_t i) { return s.b[i] * s.normal_dot[i]; }) * inverse;
  for (int64_t i = 0; i < n; i++)
    s.x[i] = s.g[i] * r.w[i] + s.kept[i] * r.w_dot[i] - s.b[i] * s.along - (s.normal_dot[i] + r.normal[i] * s.along) * b_along;
  const T mean = row_sum<T>(n, [&](int64_t i) { return s.x[i]; }) * inverse;
  const T along = row_sum<T>(n, [&](int64_t i) { return s.x[i] * r.normal[i]; }) * inverse + b_bent;
  for (int64_t i = 0; i < n; i++) s.x[i] = (s.x[i] - mean - r.normal[i] * along) * r.scale;
}

// target_clones takes no templates, hence one plain function a type.
#define CS_LAYER_NORM_LOOPS(T)                                                                                    \
  CS_SIMD T normalize_row(const T* x, const T* w, const T* b, T* y, T* normal, T e, int64_t n) {                  \
    return normalize(x, w, b, y, normal, e, n);                                                                   \
  }                                                                                                               \
  CS_SIMD void first_order_row(const T* g, const T* normal, const T* w, T* x, T scale, int64_t n) {               \
    first_order(g, normal, w, x, scale, n);                                                                       \
  }                                                                                                               \
  CS_SIMD T move_row(const Row<T>& r, const T* x_dot, const T* b_dot, T* y_dot, T* normal_dot, int64_t n) {       \
    return move(r, x_dot, b_dot, y_dot, normal_dot, n);                                                           \
  }                                                                                                               \
  CS_SIMD void second_order_row(const Row<T>& r, const Second<T>& s, int64_t n) { second_order(r, s, n); }
CS_LAYER_NORM_LOOPS(float)
CS_LAYER_NORM_LOOPS(double)
#undef CS_LAYER_NORM_LOOPS

at::Tensor or_zeros(const at::Tensor& tensor, const at::Tensor& like) {
  return tensor.defined() ? tensor : at::zeros_like(like);
}

/// Calls body(T{}) with T the tensor's element type.
template <class Body>
auto with_type(const at::Tensor& tensor, const Body& body) {
  return tensor.scalar_type() == at::kDouble ? body(double{}) : body(float{});
}

/// Calls body(row, its offset) for all rows, in parallel.
template <class Body>
void for_each_row(const at::Tensor& rows, const Body& body) {
  const int64_t width = rows.size(1);
  at::parallel_for(0, rows.size(0), rows_at_once(width), [&](int64_t begin, int64_t end) {
    for (int64_t k = begin; k < end; k++) body(k, k * width);
  });
}

}  // namespace

LayerNorm layer_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, double epsilon) {
  LayerNorm made{at::empty_like(x), at::empty_like(x), at::empty({x.size(0)}, x.options())};
  with_type(x, [&](auto type) {
    using T = decltype(type);
    const T *from = x.const_data_ptr<T>(), *w = weight.const_data_ptr<T>(), *b = bias.const_data_ptr<T>();
    T *y = made.output.mutable_data_ptr<T>(), *normal = made.normalized.mutable_data_ptr<T>(),
      *scale = made.scale.mutable_data_ptr<T>();
    for_each_row(x, [&](int64_t k, int64_t at) {
      scale[k] = normalize_row(from + at, w, b, y + at, normal + at, static_cast<T>(epsilon), x.size(1));
    });
  });
  return made;
}

at::Tensor layer_norm_gradient(const at::Tensor& gradient, const at::Tensor& normalized, const at::Tensor& scale,
                               const at::Tensor& weight) {
  at::Tensor x = at::empty_like(gradient);
  with_type(x, [&](auto type) {
    using T = decltype(type);
    const T *g = gradient.const_data_ptr<T>(), *normal = normalized.const_data_ptr<T>(), *w = weight.const_data_ptr<T>(),
            *s = scale.const_data_ptr<T>();
    T* to = x.mutable_data_ptr<T>();
    for_each_row(x, [&](int64_t k, int64_t at) { first_order_row(g + at, normal + at, w, to + at, s[k], x.size(1)); });
  });
  return x;
}

LayerNormTangent layer_norm_tangent(const at::Tensor& x_tangent, const at::Tensor& normalized, const at::Tensor& scale,
                                    const at::Tensor& weight, const at::Tensor& weight_tangent, const at::Tensor& bias_tangent) {
  LayerNormTangent made{at::empty_like(x_tangent), at::empty_like(x_tangent), at::empty_like(scale)};
  const at::Tensor w_tangent = or_zeros(weight_tangent, weight), b_tangent = or_zeros(bias_tangent, weight);
  with_type(x_tangent, [&](auto type) {
    using T = decltype(type);
    const T *from = x_tangent.const_data_ptr<T>(), *normal = normalized.const_data_ptr<T>(),
            *w = weight.const_data_ptr<T>(), *wd = w_tangent.const_data_ptr<T>(), *bd = b_tangent.const_data_ptr<T>(),
            *s = scale.const_data_ptr<T>();
    T *y = made.output.mutable_data_ptr<T>(), *nd = made.normalized.mutable_data_ptr<T>(),
      *along = made.along.mutable_data_ptr<T>();
    for_each_row(x_tangent, [&](int64_t k, int64_t at) {
      along[k] = move_row(Row<T>{normal + at, w, wd, s[k]}, from + at, bd, y + at, nd + at, x_tangent.size(1));
    });
  });
  return made;
}

LayerNormGradients layer_norm_second_order(const LayerNormOperands& o) {
  const int64_t n = o.gradient.size(0), width = o.gradient.size(1);
  // The weights' gradients are summed in stretches of rows that no number of threads changes, then stretch by stretch.
  const int64_t rows = 4 * rows_at_once(width), stretches = (n + rows - 1) / rows;
  at::Tensor x = at::empty_like(o.gradient), sums = at::zeros({2, stretches, width}, x.options());
  const at::Tensor w_tangent = or_zeros(o.weight_tangent, o.weight);
  const at::Tensor tangent_gradient = or_zeros(o.tangent_gradient, o.gradient);
  with_type(x, [&](auto type) {
    using T = decltype(type);
    const T *g = o.gradient.const_data_ptr<T>(), *kept = tangent_gradient.const_data_ptr<T>(),
            *normal = o.normalized.const_data_ptr<T>(), *nd = o.normalized_tangent.const_data_ptr<T>(),
            *scale = o.scale.const_data_ptr<T>(), *along = o.along.const_data_ptr<T>(), *w = o.weight.const_data_ptr<T>(),
            *wd = w_tangent.const_data_ptr<T>();
    T *to = x.mutable_data_ptr<T>(), *sum = sums.mutable_data_ptr<T>();
    at::parallel_for(0, stretches, 1, [&](int64_t begin, int64_t end) {
      std::vector<T> room(static_cast<size_t>(width));
      for (int64_t s = begin; s < end; s++)
        for (int64_t k = s * rows; k < std::min(n, (s + 1) * rows); k++) {
          const int64_t at = k * width;
          second_order_row(Row<T>{normal + at, w, wd, scale[k]},
                           Second<T>{g + at, kept + at, nd + at, along[k], to + at, room.data(), sum + s * width,
                                     sum + (stretches + s) * width},
                           width);
        }
    });
  });
  return {x, sums[0].sum(0), sums[1].sum(0)};
}

}  // namespace critical_sharpness::kernels
