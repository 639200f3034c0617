#include "dual_layer_norm.hpp"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <cmath>

#include "rows.hpp"

namespace critical_sharpness::kernels {
namespace {

/// One row's operands: values, and the tangents beside them.
template <class T>
struct Forward {
  const T *x, *x_dot, *w, *w_dot, *b, *b_dot;
  T *y, *y_dot, *normal, *normal_dot, *statistics;
};

template <class T>
CS_INLINE void normalize(const Forward<T>& r, T epsilon, int64_t n) {
  const T inverse = T(1) / static_cast<T>(n);
  const T mean = row_sum<T>(n, [&](int64_t i) { return r.x[i]; }) * inverse;
  const T variance = row_sum<T>(n, [&](int64_t i) { return (r.x[i] - mean) * (r.x[i] - mean); }) * inverse;
  const T scale = T(1) / std::sqrt(variance + epsilon);
  for (int64_t i = 0; i < n; i++) r.normal[i] = (r.x[i] - mean) * scale;
  const T mean_dot = row_sum<T>(n, [&](int64_t i) { return r.x_dot[i]; }) * inverse;
  const T along = row_sum<T>(n, [&](int64_t i) { return r.normal[i] * r.x_dot[i]; }) * inverse;
  for (int64_t i = 0; i < n; i++) r.normal_dot[i] = (r.x_dot[i] - mean_dot - r.normal[i] * along) * scale;
  for (int64_t i = 0; i < n; i++) {
    r.y[i] = r.normal[i] * r.w[i] + r.b[i];
    r.y_dot[i] = r.normal_dot[i] * r.w[i] + r.normal[i] * r.w_dot[i] + r.b_dot[i];
  }
  r.statistics[0] = scale;
  r.statistics[1] = scale * along;
}

template <class T>
struct Backward {
  const T *g, *g_dot, *normal, *normal_dot, *statistics, *w, *w_dot;
  T *x, *x_dot, *w_sum, *b_sum;
};

/// With a = γȳ + γ̇·ȳ̇ (into x̂) and b = γ·ȳ̇ (into its tangent):
///   ẋ's gradient is (b − mean(b) − x̂·mean(b·x̂))/σ, the projection that the tangent went through; and x's is
///   (a′ − mean(a′) − x̂·(mean(a′x̂) + mean(b·ẋ̂)))/σ, a′ = a − b·mean(x̂ẋ)/σ − (ẋ̂ + x̂·mean(x̂ẋ)/σ)·mean(b·x̂).
template <class T>
CS_INLINE void differentiate(const Backward<T>& r, int64_t n) {
  const T inverse = T(1) / static_cast<T>(n), scale = r.statistics[0], along = r.statistics[1];
  // x and x_dot hold a′ and b until the last loop.
  for (int64_t i = 0; i < n; i++) {
    r.w_sum[i] += r.g[i] * r.normal[i] + r.g_dot[i] * r.normal_dot[i];
    r.b_sum[i] += r.g[i];
    r.x_dot[i] = r.g_dot[i] * r.w[i];
  }
  const T b_mean = row_sum<T>(n, [&](int64_t i) { return r.x_dot[i]; }) * inverse;
  const T b_along = row_sum<T>(n, [&](int64_t i) { return r.x_dot[i] * r.normal[i]; }) * inverse;
  const T b_bent = row_sum<T>(n, [&](int64_t i) { return r.x_dot[i] * r.normal_dot[i]; }) * inverse;
  for (int64_t i = 0; i < n; i++)
    r.x[i] = r.g[i] * r.w[i] + r.g_dot[i] * r.w_dot[i] - r.x_dot[i] * along -
             (r.normal_dot[i] + r.normal[i] * along) * b_along;
  const T a_mean = row_sum<T>(n, [&](int64_t i) { return r.x[i]; }) * inverse;
  const T a_along = row_sum<T>(n, [&](int64_t i) { return r.x[i] * r.normal[i]; }) * inverse + b_bent;
  for (int64_t i = 0; i < n; i++) {
    r.x[i] = (r.x[i] - a_mean - r.normal[i] * a_along) * scale;
    r.x_dot[i] = (r.x_dot[i] - b_mean - r.normal[i] * b_along) * scale;
  }
}

CS_SIMD void normalize_row(const Forward<float>& r, float e, int64_t n) { normalize(r, e, n); }
CS_SIMD void normalize_row(const Forward<double>& r, double e, int64_t n) { normalize(r, e, n); }
CS_SIMD void differentiate_row(const Backward<float>& r, int64_t n) { differentiate(r, n); }
CS_SIMD void differentiate_row(const Backward<double>& r, int64_t n) { differentiate(r, n); }

at::Tensor or_zeros(const at::Tensor& tangent, const at::Tensor& like) {
  return tangent.defined() ? tangent : at::zeros_like(like);
}

template <class T>
DualLayerNorm forward(const at::Tensor& x, const DualRow& weight, const DualRow& bias, double epsilon) {
  const int64_t n = x.size(0) / 2, width = x.size(1), half = n * width;
  DualLayerNorm made{at::empty_like(x), at::empty_like(x), at::empty({n, 2}, x.options())};
  const at::Tensor w_dot = or_zeros(weight.tangent, weight.value), b_dot = or_zeros(bias.tangent, bias.value);
  const T *from = x.const_data_ptr<T>(), *w = weight.value.const_data_ptr<T>(), *wd = w_dot.const_data_ptr<T>(),
          *b = bias.value.const_data_ptr<T>(), *bd = b_dot.const_data_ptr<T>();
  T *y = made.output.mutable_data_ptr<T>(), *normal = made.normalized.mutable_data_ptr<T>(),
    *statistics = made.statistics.mutable_data_ptr<T>();
  at::parallel_for(0, n, rows_at_once(width), [&](int64_t begin, int64_t end) {
    for (int64_t k = begin; k < end; k++) {
      const int64_t at = k * width;
      normalize_row(Forward<T>{from + at, from + half + at, w, wd, b, bd, y + at, y + half + at, normal + at,
                               normal + half + at, statistics + 2 * k},
                    static_cast<T>(epsilon), width);
    }
  });
  return made;
}

template <class T>
DualLayerNormGradient backward(const at::Tensor& gradient, const at::Tensor& normalized, const at::Tensor& statistics,
                               const DualRow& weight) {
  const int64_t n = gradient.size(0) / 2, width = gradient.size(1), half = n * width;
  // The weights' gradients are summed in stretches of rows that no number of threads changes, then stretch by stretch.
  const int64_t rows = 4 * rows_at_once(width), stretches = (n + rows - 1) / rows;
  at::Tensor x = at::empty_like(gradient), sums = at::zeros({2, stretches, width}, gradient.options());
  const at::Tensor w_dot = or_zeros(weight.tangent, weight.value);
  const T *g = gradient.const_data_ptr<T>(), *normal = normalized.const_data_ptr<T>(),
          *stats = statistics.const_data_ptr<T>(), *w = weight.value.const_data_ptr<T>(), *wd = w_dot.const_data_ptr<T>();
  T *to = x.mutable_data_ptr<T>(), *sum = sums.mutable_data_ptr<T>();
  at::parallel_for(0, stretches, 1, [&](int64_t begin, int64_t end) {
    for (int64_t s = begin; s < end; s++)
      for (int64_t k = s * rows; k < std::min(n, (s + 1) * rows); k++) {
        const int64_t at = k * width;
        differentiate_row(Backward<T>{g + at, g + half + at, normal + at, normal + half + at, stats + 2 * k, w, wd, to + at,
                                      to + half + at, sum + s * width, sum + (stretches + s) * width},
                          width);
      }
  });
  return {x, sums[0].sum(0), sums[1].sum(0)};
}

}  // namespace

DualLayerNorm dual_layer_norm(const at::Tensor& x, const DualRow& weight, const DualRow& bias, double epsilon) {
  return x.scalar_type() == at::kDouble ? forward<double>(x, weight, bias, epsilon)
                                        : forward<float>(x, weight, bias, epsilon);
}

DualLayerNormGradient dual_layer_norm_backward(const at::Tensor& gradient, const at::Tensor& normalized,
                                               const at::Tensor& statistics, const DualRow& weight) {
  return gradient.scalar_type() == at::kDouble ? backward<double>(gradient, normalized, statistics, weight)
                                               : backward<float>(gradient, normalized, statistics, weight);
}

}  // namespace critical_sharpness::kernels
