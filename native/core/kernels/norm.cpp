#include "norm.hpp"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <cmath>
#include <vector>

#include "device.hpp"
#include "rows.hpp"

namespace critical_sharpness::kernels {
namespace {

template <class T, class Term>
CS_INLINE T row_mean(int64_t n, const Term& term) {
  return row_sum<T>(n, term) * (T(1) / static_cast<T>(n));
}

/// Returns 1/σ.
template <class T>
CS_INLINE T normalize(const T* __restrict x, const T* __restrict w, const T* __restrict b, T* __restrict y,
                      T* __restrict normal, T epsilon, bool centered, int64_t n) {
  const T mean = centered ? row_mean<T>(n, [&](int64_t i) { return x[i]; }) : T(0);
  const T variance = row_mean<T>(n, [&](int64_t i) { return (x[i] - mean) * (x[i] - mean); });
  const T scale = T(1) / std::sqrt(variance + epsilon);
  for (int64_t i = 0; i < n; i++) {
    normal[i] = (x[i] - mean) * scale;
    y[i] = normal[i] * w[i] + b[i];
  }
  return scale;
}

/// out ← (v − mean(v) − x̂·mean(v·x̂))/σ, or without mean(v): what the normalisation's Jacobian, which is symmetric, does.
/// Returns mean(v·x̂).
template <class T>
CS_INLINE T project(const T* v, const T* normal, T* out, T scale, bool centered, int64_t n) {
  const T mean = centered ? row_mean<T>(n, [&](int64_t i) { return v[i]; }) : T(0);
  const T along = row_mean<T>(n, [&](int64_t i) { return v[i] * normal[i]; });
  for (int64_t i = 0; i < n; i++) out[i] = (v[i] - mean - normal[i] * along) * scale;
  return along;
}

template <class T>
struct Row {
  const T *normal, *w, *w_dot;
  T scale;
  bool centered;
};

template <class T>
CS_INLINE void first_order(const Row<T>& r, const T* g, T* x, int64_t n) {
  for (int64_t i = 0; i < n; i++) x[i] = g[i] * r.w[i];
  project(x, r.normal, x, r.scale, r.centered, n);
}

template <class T>
CS_INLINE void add_gradients(const T* g, const T* normal, T* w_sum, T* b_sum, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    w_sum[i] += g[i] * normal[i];
    b_sum[i] += g[i];
  }
}

/// Returns mean(x̂ẋ)/σ.
template <class T>
CS_INLINE T move(const Row<T>& r, const T* x_dot, const T* b_dot, T* y_dot, T* normal_dot, int64_t n) {
  const T along = project(x_dot, r.normal, normal_dot, r.scale, r.centered, n);
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
/// a = γg + γ̇·kept − b·mean(x̂ẋ)/σ − (x̂̇ + x̂·mean(x̂ẋ)/σ)·mean(b·x̂); mean(a) only if centered.
template <class T>
CS_INLINE void second_order(const Row<T>& r, const Second<T>& s, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    s.w_sum[i] += s.g[i] * r.normal[i] + s.kept[i] * s.normal_dot[i];
    s.b_sum[i] += s.g[i];
    s.b[i] = s.kept[i] * r.w[i];
  }
  const T b_along = row_mean<T>(n, [&](int64_t i) { return s.b[i] * r.normal[i]; });
  const T b_bent = row_mean<T>(n, [&](int64_t i) { return s.b[i] * s.normal_dot[i]; });
  for (int64_t i = 0; i < n; i++)
    s.x[i] = s.g[i] * r.w[i] + s.kept[i] * r.w_dot[i] - s.b[i] * s.along - (s.normal_dot[i] + r.normal[i] * s.along) * b_along;
  const T mean = r.centered ? row_mean<T>(n, [&](int64_t i) { return s.x[i]; }) : T(0);
  const T along = row_mean<T>(n, [&](int64_t i) { return s.x[i] * r.normal[i]; }) + b_bent;
  for (int64_t i = 0; i < n; i++) s.x[i] = (s.x[i] - mean - r.normal[i] * along) * r.scale;
}

// target_clones takes no templates, hence one plain function a type.
#define CS_NORM_LOOPS(T)                                                                                          \
  CS_SIMD T normalize_row(const T* x, const T* w, const T* b, T* y, T* normal, T e, bool centered, int64_t n) {   \
    return normalize(x, w, b, y, normal, e, centered, n);                                                         \
  }                                                                                                               \
  CS_SIMD void first_order_row(const Row<T>& r, const T* g, T* x, int64_t n) { first_order(r, g, x, n); }         \
  CS_SIMD void gradients_row(const T* g, const T* normal, T* w_sum, T* b_sum, int64_t n) {                        \
    add_gradients(g, normal, w_sum, b_sum, n);                                                                    \
  }                                                                                                               \
  CS_SIMD T move_row(const Row<T>& r, const T* x_dot, const T* b_dot, T* y_dot, T* normal_dot, int64_t n) {       \
    return move(r, x_dot, b_dot, y_dot, normal_dot, n);                                                           \
  }                                                                                                               \
  CS_SIMD void second_order_row(const Row<T>& r, const Second<T>& s, int64_t n) { second_order(r, s, n); }
CS_NORM_LOOPS(float)
CS_NORM_LOOPS(double)
#undef CS_NORM_LOOPS

at::Tensor or_zeros(const at::Tensor& tensor, const at::Tensor& like) {
  return tensor.defined() ? tensor : at::zeros_like(like);
}
/// A vector of a row's width.
at::Tensor or_fill(const at::Tensor& vector, const at::Tensor& rows, double value) {
  return vector.defined() ? vector : at::zeros({rows.size(1)}, rows.options()).fill_(value);
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

/// Calls body(row, its offset, the row of sums that it adds to) for all rows, in parallel; returns the sums, [width] for
/// each of `count`. They are summed in stretches of rows that no number of threads changes, then stretch by stretch.
template <class T, class Body>
std::vector<at::Tensor> sum_over_rows(const at::Tensor& like, int64_t count, const Body& body) {
  const int64_t n = like.size(0), width = like.size(1), rows = 4 * rows_at_once(width), stretches = (n + rows - 1) / rows;
  at::Tensor sums = at::zeros({count, stretches, width}, like.options());
  T* sum = sums.mutable_data_ptr<T>();
  at::parallel_for(0, stretches, 1, [&](int64_t begin, int64_t end) {
    std::vector<T*> into(static_cast<size_t>(count));
    std::vector<T> room(static_cast<size_t>(width));
    for (int64_t s = begin; s < end; s++) {
      for (int64_t i = 0; i < count; i++) into[static_cast<size_t>(i)] = sum + (i * stretches + s) * width;
      for (int64_t k = s * rows; k < std::min(n, (s + 1) * rows); k++) body(k, k * width, into, room.data());
    }
  });
  std::vector<at::Tensor> totals;
  for (int64_t i = 0; i < count; i++) totals.push_back(sums[i].sum(0));
  return totals;
}

}  // namespace

Normalized norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, double epsilon, bool centered) {
  CS_ON_CUDA(x, norm(x, weight, bias, epsilon, centered));
  Normalized made{at::empty_like(x), at::empty_like(x), at::empty({x.size(0)}, x.options())};
  const at::Tensor gamma = or_fill(weight, x, 1), beta = or_fill(bias, x, 0);
  with_type(x, [&](auto type) {
    using T = decltype(type);
    const T *from = x.const_data_ptr<T>(), *w = gamma.const_data_ptr<T>(), *b = beta.const_data_ptr<T>();
    T *y = made.output.mutable_data_ptr<T>(), *normal = made.normalized.mutable_data_ptr<T>(),
      *scale = made.scale.mutable_data_ptr<T>();
    for_each_row(x, [&](int64_t k, int64_t at) {
      scale[k] = normalize_row(from + at, w, b, y + at, normal + at, static_cast<T>(epsilon), centered, x.size(1));
    });
  });
  return made;
}

at::Tensor norm_gradient(const at::Tensor& gradient, const at::Tensor& normalized, const at::Tensor& scale,
                         const at::Tensor& weight, bool centered) {
  CS_ON_CUDA(gradient, norm_gradient(gradient, normalized, scale, weight, centered));
  at::Tensor x = at::empty_like(gradient);
  const at::Tensor gamma = or_fill(weight, x, 1);
  with_type(x, [&](auto type) {
    using T = decltype(type);
    const T *g = gradient.const_data_ptr<T>(), *normal = normalized.const_data_ptr<T>(), *w = gamma.const_data_ptr<T>(),
            *s = scale.const_data_ptr<T>();
    T* to = x.mutable_data_ptr<T>();
    for_each_row(x, [&](int64_t k, int64_t at) {
      first_order_row(Row<T>{normal + at, w, nullptr, s[k], centered}, g + at, to + at, x.size(1));
    });
  });
  return x;
}

NormGradients norm_gradients(const at::Tensor& gradient, const at::Tensor& normalized, const at::Tensor& scale,
                             const at::Tensor& weight, bool centered) {
  CS_ON_CUDA(gradient, norm_gradients(gradient, normalized, scale, weight, centered));
  const at::Tensor x = norm_gradient(gradient, normalized, scale, weight, centered);
  const auto sums = with_type(x, [&](auto type) {
    using T = decltype(type);
    const T *g = gradient.const_data_ptr<T>(), *normal = normalized.const_data_ptr<T>();
    return sum_over_rows<T>(x, 2, [&](int64_t, int64_t at, const std::vector<T*>& into, T*) {
      gradients_row(g + at, normal + at, into[0], into[1], x.size(1));
    });
  });
  return {x, sums[0], sums[1]};
}

NormTangent norm_tangent(const at::Tensor& x_tangent, const at::Tensor& normalized, const at::Tensor& scale,
                         const at::Tensor& weight, const at::Tensor& weight_tangent, const at::Tensor& bias_tangent,
                         bool centered) {
  CS_ON_CUDA(x_tangent, norm_tangent(x_tangent, normalized, scale, weight, weight_tangent, bias_tangent, centered));
  NormTangent made{at::empty_like(x_tangent), at::empty_like(x_tangent), at::empty_like(scale)};
  const at::Tensor gamma = or_fill(weight, x_tangent, 1), w_tangent = or_fill(weight_tangent, x_tangent, 0),
                   b_tangent = or_fill(bias_tangent, x_tangent, 0);
  with_type(x_tangent, [&](auto type) {
    using T = decltype(type);
    const T *from = x_tangent.const_data_ptr<T>(), *normal = normalized.const_data_ptr<T>(),
            *w = gamma.const_data_ptr<T>(), *wd = w_tangent.const_data_ptr<T>(), *bd = b_tangent.const_data_ptr<T>(),
            *s = scale.const_data_ptr<T>();
    T *y = made.output.mutable_data_ptr<T>(), *nd = made.normalized.mutable_data_ptr<T>(),
      *along = made.along.mutable_data_ptr<T>();
    for_each_row(x_tangent, [&](int64_t k, int64_t at) {
      const Row<T> row{normal + at, w, wd, s[k], centered};
      along[k] = move_row(row, from + at, bd, y + at, nd + at, x_tangent.size(1));
    });
  });
  return made;
}

NormGradients norm_second_order(const NormOperands& o) {
  CS_ON_CUDA(o.gradient, norm_second_order(o));
  at::Tensor x = at::empty_like(o.gradient);
  const at::Tensor gamma = or_fill(o.weight, x, 1), w_tangent = or_fill(o.weight_tangent, x, 0);
  const at::Tensor tangent_gradient = or_zeros(o.tangent_gradient, o.gradient);
  const auto sums = with_type(x, [&](auto type) {
    using T = decltype(type);
    const T *g = o.gradient.const_data_ptr<T>(), *kept = tangent_gradient.const_data_ptr<T>(),
            *normal = o.normalized.const_data_ptr<T>(), *nd = o.normalized_tangent.const_data_ptr<T>(),
            *scale = o.scale.const_data_ptr<T>(), *along = o.along.const_data_ptr<T>(), *w = gamma.const_data_ptr<T>(),
            *wd = w_tangent.const_data_ptr<T>();
    T* to = x.mutable_data_ptr<T>();
    return sum_over_rows<T>(x, 2, [&](int64_t k, int64_t at, const std::vector<T*>& into, T* room) {
      second_order_row(Row<T>{normal + at, w, wd, scale[k], o.centered},
                       Second<T>{g + at, kept + at, nd + at, along[k], to + at, room, into[0], into[1]}, x.size(1));
    });
  });
  return {x, sums[0], sums[1]};
}

}  // namespace critical_sharpness::kernels
