#include "kernels/activation.hpp"

#include <ATen/ops/empty_like.h>
#include <ATen/ops/erf.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/tanh.h>

#include <numbers>

#include "chunks.hpp"
#include "device.hpp"

namespace critical_sharpness::kernels {
namespace {

/// A stretch of values. `first` and `second` come with what libtorch has computed of x (see `prepare`).
template <class T>
struct Stretch {
  const T* x;
  T *y, *first, *second;
};

template <class T>
inline constexpr T tanh_scale = static_cast<T>(0.7978845608028654);  // √(2/π)
template <class T>
inline constexpr T tanh_cubic = static_cast<T>(0.044715);

/// f = x(1 + t)/2 with t = tanh u, u = √(2/π)(x + 0.044715x³).
template <class T>
CS_INLINE void gelu_tanh(const Stretch<T>& s, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    const T x = s.x[i], t = s.first[i], s2 = 1 - t * t;
    const T u1 = tanh_scale<T> * (1 + 3 * tanh_cubic<T> * x * x), u2 = 6 * tanh_scale<T> * tanh_cubic<T> * x;
    const T slope = T(0.5) * (1 + t) + T(0.5) * x * s2 * u1;
    const T bend = s2 * (u1 + x * (T(0.5) * u2 - t * u1 * u1));
    s.y[i] = T(0.5) * x * (1 + t);
    s.first[i] = slope;
    s.second[i] = bend;
  }
}

/// f = xΦ(x); `first` holds erf(x/√2), `second` exp(−x²/2).
template <class T>
CS_INLINE void gelu(const Stretch<T>& s, int64_t n) {
  constexpr T density_scale = static_cast<T>(std::numbers::inv_sqrtpi / std::numbers::sqrt2);
  for (int64_t i = 0; i < n; i++) {
    const T x = s.x[i], distribution = T(0.5) * (1 + s.first[i]), density = density_scale * s.second[i];
    const T slope = distribution + x * density, bend = density * (2 - x * x);
    s.y[i] = x * distribution;
    s.first[i] = slope;
    s.second[i] = bend;
  }
}

/// f = xσ(x); `first` holds σ(x).
template <class T>
CS_INLINE void silu(const Stretch<T>& s, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    const T x = s.x[i], sigmoid = s.first[i], slope = sigmoid * (1 - sigmoid);
    s.y[i] = x * sigmoid;
    s.first[i] = sigmoid + x * slope;
    s.second[i] = slope * (2 + x * (1 - 2 * sigmoid));
  }
}

/// `first` holds tanh(x).
template <class T>
CS_INLINE void hyperbolic_tangent(const Stretch<T>& s, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    const T t = s.first[i], slope = 1 - t * t;
    s.y[i] = t;
    s.first[i] = slope;
    s.second[i] = -2 * t * slope;
  }
}

template <class T>
CS_INLINE void rectify(const Stretch<T>& s, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    const T x = s.x[i], slope = x > 0 ? T(1) : T(0);
    s.y[i] = x > 0 ? x : T(0);
    s.first[i] = slope;
    s.second[i] = 0;
  }
}

template <class T>
CS_INLINE void cubic(T* u, const T* x, int64_t n) {
  for (int64_t i = 0; i < n; i++) u[i] = tanh_scale<T> * (x[i] + tanh_cubic<T> * x[i] * x[i] * x[i]);
}

template <class T>
CS_INLINE void add_products(T* out, const T* a, const T* b, const T* c, const T* d, int64_t n) {
  for (int64_t i = 0; i < n; i++) out[i] = a[i] * b[i] + c[i] * d[i];
}

// target_clones takes no templates, hence one plain function a type.
#define CS_ACTIVATION_LOOPS(T)                                                                      \
  CS_SIMD void gelu_tanh_loop(const Stretch<T>& s, int64_t n) { gelu_tanh(s, n); }            \
  CS_SIMD void gelu_loop(const Stretch<T>& s, int64_t n) { gelu(s, n); }                      \
  CS_SIMD void silu_loop(const Stretch<T>& s, int64_t n) { silu(s, n); }                      \
  CS_SIMD void tanh_loop(const Stretch<T>& s, int64_t n) { hyperbolic_tangent(s, n); }        \
  CS_SIMD void relu_loop(const Stretch<T>& s, int64_t n) { rectify(s, n); }                   \
  CS_SIMD void cubic_loop(T* u, const T* x, int64_t n) { cubic(u, x, n); }                    \
  CS_SIMD void products_loop(T* o, const T* a, const T* b, const T* c, const T* d, int64_t n) { \
    add_products(o, a, b, c, d, n);                                                           \
  }
CS_ACTIVATION_LOOPS(float)
CS_ACTIVATION_LOOPS(double)
#undef CS_ACTIVATION_LOOPS

/// libtorch's transcendental functions of x, into what become the derivatives.
void prepare(const at::Tensor& x, ActivationDerivatives& made, Activation kind) {
  at::Tensor& first = made.first;
  switch (kind) {
    case Activation::gelu_tanh:
      at::parallel_for(0, x.numel(), chunk_length, [&](int64_t begin, int64_t end) {
        if (x.scalar_type() == at::kDouble)
          cubic_loop(first.mutable_data_ptr<double>() + begin, x.const_data_ptr<double>() + begin, end - begin);
        else
          cubic_loop(first.mutable_data_ptr<float>() + begin, x.const_data_ptr<float>() + begin, end - begin);
      });
      first.tanh_();
      break;
    case Activation::gelu:
      at::mul_out(first, x, at::scalar_tensor(1 / std::numbers::sqrt2, x.options())).erf_();
      at::mul_out(made.second, x, x).mul_(-0.5).exp_();
      break;
    case Activation::silu: at::sigmoid_out(first, x); break;
    case Activation::tanh: at::tanh_out(first, x); break;
    case Activation::relu: break;
  }
}

template <class T>
void run(const at::Tensor& x, ActivationDerivatives& made, Activation kind) {
  const T* from = x.const_data_ptr<T>();
  T *y = made.output.mutable_data_ptr<T>(), *first = made.first.mutable_data_ptr<T>(),
    *second = made.second.mutable_data_ptr<T>();
  at::parallel_for(0, x.numel(), chunk_length, [&](int64_t begin, int64_t end) {
    const Stretch<T> s{from + begin, y + begin, first + begin, second + begin};
    switch (kind) {
      case Activation::gelu_tanh: return gelu_tanh_loop(s, end - begin);
      case Activation::gelu: return gelu_loop(s, end - begin);
      case Activation::silu: return silu_loop(s, end - begin);
      case Activation::tanh: return tanh_loop(s, end - begin);
      case Activation::relu: return relu_loop(s, end - begin);
    }
  });
}

template <class T>
void run_products(const at::Tensor& out, const at::Tensor& a, const at::Tensor& b, const at::Tensor& c, const at::Tensor& d) {
  T* to = out.mutable_data_ptr<T>();
  const T *pa = a.const_data_ptr<T>(), *pb = b.const_data_ptr<T>(), *pc = c.const_data_ptr<T>(), *pd = d.const_data_ptr<T>();
  at::parallel_for(0, out.numel(), chunk_length, [&](int64_t i, int64_t end) {
    products_loop(to + i, pa + i, pb + i, pc + i, pd + i, end - i);
  });
}

}  // namespace

ActivationDerivatives activation_derivatives(const at::Tensor& x, Activation kind) {
  CS_ON_CUDA(x, activation_derivatives(x, kind));
  ActivationDerivatives made{at::empty_like(x), at::empty_like(x), at::empty_like(x)};
  prepare(x, made, kind);
  if (x.scalar_type() == at::kDouble) run<double>(x, made, kind);
  else run<float>(x, made, kind);
  return made;
}

at::Tensor sum_of_products(const at::Tensor& a, const at::Tensor& b, const at::Tensor& c, const at::Tensor& d) {
  CS_ON_CUDA(a, sum_of_products(a, b, c, d));
  at::Tensor out = at::empty_like(a);
  if (a.scalar_type() == at::kDouble) run_products<double>(out, a, b, c, d);
  else run_products<float>(out, a, b, c, d);
  return out;
}

}  // namespace critical_sharpness::kernels
