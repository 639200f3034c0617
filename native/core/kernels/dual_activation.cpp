#include "dual_activation.hpp"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/erf.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/tanh.h>

#include <numbers>

#include "chunks.hpp"

namespace critical_sharpness::kernels {
namespace {

/// A stretch of values. `slope` and `bend` come with what libtorch has computed of x (see `prepare`).
template <class T>
struct Stretch {
  const T *x, *x_dot;
  T *y, *y_dot, *slope, *bend;
};

template <class T>
inline constexpr T tanh_scale = static_cast<T>(0.7978845608028654);  // √(2/π)
template <class T>
inline constexpr T tanh_cubic = static_cast<T>(0.044715);

/// f = x(1 + t)/2 with t = tanh u, u = √(2/π)(x + 0.044715x³).
template <class T>
CS_INLINE void gelu_tanh(const Stretch<T>& s, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    const T x = s.x[i], t = s.slope[i], s2 = 1 - t * t;
    const T u1 = tanh_scale<T> * (1 + 3 * tanh_cubic<T> * x * x), u2 = 6 * tanh_scale<T> * tanh_cubic<T> * x;
    const T slope = T(0.5) * (1 + t) + T(0.5) * x * s2 * u1;
    const T bend = s2 * (u1 + x * (T(0.5) * u2 - t * u1 * u1));
    s.y[i] = T(0.5) * x * (1 + t);
    s.y_dot[i] = slope * s.x_dot[i];
    s.slope[i] = slope;
    s.bend[i] = bend * s.x_dot[i];
  }
}

/// f = xΦ(x); slope holds erf(x/√2), bend exp(−x²/2).
template <class T>
CS_INLINE void gelu(const Stretch<T>& s, int64_t n) {
  constexpr T density_scale = static_cast<T>(std::numbers::inv_sqrtpi / std::numbers::sqrt2);
  for (int64_t i = 0; i < n; i++) {
    const T x = s.x[i], distribution = T(0.5) * (1 + s.slope[i]), density = density_scale * s.bend[i];
    const T slope = distribution + x * density, bend = density * (2 - x * x);
    s.y[i] = x * distribution;
    s.y_dot[i] = slope * s.x_dot[i];
    s.slope[i] = slope;
    s.bend[i] = bend * s.x_dot[i];
  }
}

/// slope holds tanh(x).
template <class T>
CS_INLINE void hyperbolic_tangent(const Stretch<T>& s, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    const T t = s.slope[i], slope = 1 - t * t;
    s.y[i] = t;
    s.y_dot[i] = slope * s.x_dot[i];
    s.slope[i] = slope;
    s.bend[i] = -2 * t * slope * s.x_dot[i];
  }
}

template <class T>
CS_INLINE void rectify(const Stretch<T>& s, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    const T x = s.x[i], slope = x > 0 ? T(1) : T(0);
    s.y[i] = x > 0 ? x : T(0);
    s.y_dot[i] = slope * s.x_dot[i];
    s.slope[i] = slope;
    s.bend[i] = 0;
  }
}

template <class T>
CS_INLINE void cubic(T* u, const T* x, int64_t n) {
  for (int64_t i = 0; i < n; i++) u[i] = tanh_scale<T> * (x[i] + tanh_cubic<T> * x[i] * x[i] * x[i]);
}

template <class T>
CS_INLINE void differentiate(T* x, T* x_dot, const T* g, const T* g_dot, const T* slope, const T* bend, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    x[i] = slope[i] * g[i] + bend[i] * g_dot[i];
    x_dot[i] = slope[i] * g_dot[i];
  }
}

// target_clones takes no templates, hence one plain function a type.
#define CS_DUAL_LOOPS(T)                                                                      \
  CS_SIMD void gelu_tanh_loop(const Stretch<T>& s, int64_t n) { gelu_tanh(s, n); }            \
  CS_SIMD void gelu_loop(const Stretch<T>& s, int64_t n) { gelu(s, n); }                      \
  CS_SIMD void tanh_loop(const Stretch<T>& s, int64_t n) { hyperbolic_tangent(s, n); }        \
  CS_SIMD void relu_loop(const Stretch<T>& s, int64_t n) { rectify(s, n); }                   \
  CS_SIMD void cubic_loop(T* u, const T* x, int64_t n) { cubic(u, x, n); }                    \
  CS_SIMD void backward_loop(T* x, T* xd, const T* g, const T* gd, const T* s, const T* b, int64_t n) { \
    differentiate(x, xd, g, gd, s, b, n);                                                     \
  }
CS_DUAL_LOOPS(float)
CS_DUAL_LOOPS(double)
#undef CS_DUAL_LOOPS

/// libtorch's transcendental functions of x into the slope and the bend.
void prepare(const at::Tensor& x, DualActivation& made, Activation kind) {
  at::Tensor& slope = made.slope;
  switch (kind) {
    case Activation::gelu_tanh:
      at::parallel_for(0, x.numel(), chunk_length, [&](int64_t begin, int64_t end) {
        if (x.scalar_type() == at::kDouble)
          cubic_loop(slope.mutable_data_ptr<double>() + begin, x.const_data_ptr<double>() + begin, end - begin);
        else
          cubic_loop(slope.mutable_data_ptr<float>() + begin, x.const_data_ptr<float>() + begin, end - begin);
      });
      slope.tanh_();
      break;
    case Activation::gelu:
      at::mul_out(slope, x, at::scalar_tensor(1 / std::numbers::sqrt2, x.options())).erf_();
      at::mul_out(made.bend, x, x).mul_(-0.5).exp_();
      break;
    case Activation::tanh: at::tanh_out(slope, x); break;
    case Activation::relu: break;
  }
}

template <class T>
void run(const at::Tensor& x, DualActivation& made, Activation kind) {
  const int64_t half = made.slope.numel();
  const T* from = x.const_data_ptr<T>();
  T *y = made.output.mutable_data_ptr<T>(), *slope = made.slope.mutable_data_ptr<T>(), *bend = made.bend.mutable_data_ptr<T>();
  at::parallel_for(0, half, chunk_length, [&](int64_t begin, int64_t end) {
    const Stretch<T> s{from + begin, from + half + begin, y + begin, y + half + begin, slope + begin, bend + begin};
    switch (kind) {
      case Activation::gelu_tanh: return gelu_tanh_loop(s, end - begin);
      case Activation::gelu: return gelu_loop(s, end - begin);
      case Activation::tanh: return tanh_loop(s, end - begin);
      case Activation::relu: return relu_loop(s, end - begin);
    }
  });
}

template <class T>
void run_backward(const at::Tensor& x, const at::Tensor& gradient, const at::Tensor& slope, const at::Tensor& bend) {
  const int64_t half = slope.numel();
  T* to = x.mutable_data_ptr<T>();
  const T *g = gradient.const_data_ptr<T>(), *s = slope.const_data_ptr<T>(), *b = bend.const_data_ptr<T>();
  at::parallel_for(0, half, chunk_length, [&](int64_t begin, int64_t end) {
    backward_loop(to + begin, to + half + begin, g + begin, g + half + begin, s + begin, b + begin, end - begin);
  });
}

}  // namespace

DualActivation dual_activation(const at::Tensor& x, Activation kind) {
  const int64_t n = x.size(0) / 2;
  DualActivation made{at::empty_like(x), at::empty({n, x.size(1)}, x.options()), at::empty({n, x.size(1)}, x.options())};
  prepare(x.narrow(0, 0, n), made, kind);
  if (x.scalar_type() == at::kDouble) run<double>(x, made, kind);
  else run<float>(x, made, kind);
  return made;
}

at::Tensor dual_activation_backward(const at::Tensor& gradient, const at::Tensor& slope, const at::Tensor& bend) {
  at::Tensor x = at::empty_like(gradient);
  if (gradient.scalar_type() == at::kDouble) run_backward<double>(x, gradient, slope, bend);
  else run_backward<float>(x, gradient, slope, bend);
  return x;
}

}  // namespace critical_sharpness::kernels
