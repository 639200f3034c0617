#include "softmax.hpp"

#include <ATen/ops/scalar_tensor.h>

#include <vector>

#include "batch.hpp"
#include "device.hpp"
#include "rows.hpp"

namespace critical_sharpness::kernels {
namespace {

template <class T>
CS_INLINE T tangent_row(const T* __restrict p, T* __restrict tangent, int64_t n) {
  const T mean = row_sum<T>(n, [&](int64_t i) { return p[i] * tangent[i]; });
  for (int64_t i = 0; i < n; i++) tangent[i] = p[i] * (tangent[i] - mean);
  return mean;
}

/// With D into ṗ and G into p: s = Σpż, d = ΣpD; ż's gradient is p(D − d), and z's is p(G′ − ΣpG′) with
/// G′ = G + D(ż − s) − żd.
template <class T>
CS_INLINE void backward_row(const T* __restrict p, T* __restrict tangent, T* __restrict g, T* __restrict d, int64_t n) {
  const T tangent_mean = row_sum<T>(n, [&](int64_t i) { return p[i] * tangent[i]; });
  const T d_mean = row_sum<T>(n, [&](int64_t i) { return p[i] * d[i]; });
  for (int64_t i = 0; i < n; i++) g[i] += d[i] * (tangent[i] - tangent_mean) - tangent[i] * d_mean;
  const T g_mean = row_sum<T>(n, [&](int64_t i) { return p[i] * g[i]; });
  for (int64_t i = 0; i < n; i++) {
    g[i] = p[i] * (g[i] - g_mean);
    d[i] = p[i] * (d[i] - d_mean);
    tangent[i] = p[i] * (tangent[i] - tangent_mean);
  }
}

template <class T>
CS_INLINE T curvature_row(T* __restrict p, T* __restrict tangent, int64_t target, T scale, int64_t n) {
  const T hit = tangent[target];
  const T mean = row_sum<T>(n, [&](int64_t i) { return p[i] * tangent[i]; });
  for (int64_t i = 0; i < n; i++) {
    tangent[i] = scale * p[i] * (tangent[i] - mean);
    p[i] *= scale;
  }
  p[target] -= scale;
  return mean - hit;
}

CS_SIMD void tangent_loop(const float* p, float* t, int64_t n) { tangent_row(p, t, n); }
CS_SIMD void tangent_loop(const double* p, double* t, int64_t n) { tangent_row(p, t, n); }
CS_SIMD void backward_loop(const float* p, float* t, float* g, float* d, int64_t n) { backward_row(p, t, g, d, n); }
CS_SIMD void backward_loop(const double* p, double* t, double* g, double* d, int64_t n) { backward_row(p, t, g, d, n); }
CS_SIMD float curvature_loop(float* p, float* t, int64_t target, float s, int64_t n) {
  return curvature_row(p, t, target, s, n);
}
CS_SIMD double curvature_loop(double* p, double* t, int64_t target, double s, int64_t n) {
  return curvature_row(p, t, target, s, n);
}

/// Calls body(T{}, rows, width) with T the element type.
template <class Body>
void over_rows(const at::Tensor& p, const Body& body) {
  const int64_t width = p.size(-1), rows = p.numel() / width;
  if (p.scalar_type() == at::kDouble) body(double{}, rows, width);
  else body(float{}, rows, width);
}

}  // namespace

void softmax_tangent(const at::Tensor& p, const at::Tensor& tangent) {
  CS_ON_CUDA(p, softmax_tangent(p, tangent));
  over_rows(p, [&](auto type, int64_t rows, int64_t width) {
    using T = decltype(type);
    const T* from = p.const_data_ptr<T>();
    T* to = tangent.mutable_data_ptr<T>();
    at::parallel_for(0, rows, rows_at_once(width), [&](int64_t begin, int64_t end) {
      for (int64_t k = begin; k < end; k++) tangent_loop(from + k * width, to + k * width, width);
    });
  });
}

void softmax_backward(const at::Tensor& p, const at::Tensor& tangent, const at::Tensor& into_values,
                      const at::Tensor& into_tangent) {
  CS_ON_CUDA(p, softmax_backward(p, tangent, into_values, into_tangent));
  over_rows(p, [&](auto type, int64_t rows, int64_t width) {
    using T = decltype(type);
    const T* from = p.const_data_ptr<T>();
    T *t = tangent.mutable_data_ptr<T>(), *g = into_values.mutable_data_ptr<T>(), *d = into_tangent.mutable_data_ptr<T>();
    at::parallel_for(0, rows, rows_at_once(width), [&](int64_t begin, int64_t end) {
      for (int64_t k = begin * width; k < end * width; k += width) backward_loop(from + k, t + k, g + k, d + k, width);
    });
  });
}

at::Tensor cross_entropy_curvature(const at::Tensor& p, const at::Tensor& tangent, const at::Tensor& targets, double scale) {
  CS_ON_CUDA(p, cross_entropy_curvature(p, tangent, targets, scale));
  std::vector<double> slopes(static_cast<size_t>(p.size(0)), 0.0);
  const at::Tensor contiguous = targets.contiguous();
  const int64_t* target = contiguous.const_data_ptr<int64_t>();
  over_rows(p, [&](auto type, int64_t rows, int64_t width) {
    using T = decltype(type);
    T *to = p.mutable_data_ptr<T>(), *t = tangent.mutable_data_ptr<T>();
    at::parallel_for(0, rows, rows_at_once(width), [&](int64_t begin, int64_t end) {
      for (int64_t k = begin; k < end; k++) {
        if (target[k] != Batch::ignored) {
          T *p_row = to + k * width, *t_row = t + k * width;
          slopes[static_cast<size_t>(k)] = curvature_loop(p_row, t_row, target[k], static_cast<T>(scale), width);
          continue;
        }
        std::fill_n(to + k * width, width, T(0));
        std::fill_n(t + k * width, width, T(0));
      }
    });
  });
  double sum = 0;
  for (const double slope : slopes) sum += slope;
  return at::scalar_tensor(sum, at::kDouble);
}

}  // namespace critical_sharpness::kernels
