#include <ATen/TensorOperators.h>
#include <ATen/ops/addcmul.h>
#include <ATen/ops/erf.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/tanh.h>
#include <ATen/ops/zeros_like.h>

#include <numbers>

#include "kernels.hpp"

namespace critical_sharpness::cuda {
namespace {

/// f = x(1 + t)/2 with t = tanh u, u = √(2/π)(x + 0.044715x³).
ActivationDerivatives of_gelu_tanh(const at::Tensor& x) {
  constexpr double scale = std::numbers::inv_sqrtpi * std::numbers::sqrt2, cubic = 0.044715;
  const at::Tensor t = at::tanh((x + x * x * x * cubic) * scale), s2 = 1 - t * t;
  const at::Tensor u1 = (1 + x * x * (3 * cubic)) * scale, u2 = x * (6 * scale * cubic);
  return {x * (1 + t) * 0.5, (1 + t) * 0.5 + x * s2 * u1 * 0.5, s2 * (u1 + x * (u2 * 0.5 - t * u1 * u1))};
}

/// f = xΦ(x)
ActivationDerivatives of_gelu(const at::Tensor& x) {
  constexpr double density_scale = std::numbers::inv_sqrtpi / std::numbers::sqrt2;
  const at::Tensor distribution = (at::erf(x * (1 / std::numbers::sqrt2)) + 1) * 0.5;
  const at::Tensor density = at::exp(x * x * -0.5) * density_scale;
  return {x * distribution, distribution + x * density, density * (2 - x * x)};
}

ActivationDerivatives of_silu(const at::Tensor& x) {
  const at::Tensor sigmoid = at::sigmoid(x), slope = sigmoid * (1 - sigmoid);
  return {x * sigmoid, sigmoid + x * slope, slope * (2 + x * (1 - sigmoid * 2))};
}

ActivationDerivatives of_tanh(const at::Tensor& x) {
  const at::Tensor t = at::tanh(x), slope = 1 - t * t;
  return {t, slope, t * slope * -2};
}

ActivationDerivatives of_relu(const at::Tensor& x) {
  const at::Tensor slope = x.gt(0).to(x.scalar_type());
  return {x.clamp_min(0), slope, at::zeros_like(x)};
}

}  // namespace

ActivationDerivatives activation_derivatives(const at::Tensor& x, Activation kind) {
  switch (kind) {
    case Activation::gelu_tanh: return of_gelu_tanh(x);
    case Activation::gelu: return of_gelu(x);
    case Activation::silu: return of_silu(x);
    case Activation::tanh: return of_tanh(x);
    case Activation::relu: return of_relu(x);
  }
  TORCH_INTERNAL_ASSERT(false);
}

at::Tensor sum_of_products(const at::Tensor& a, const at::Tensor& b, const at::Tensor& c, const at::Tensor& d) {
  return at::addcmul(at::mul(a, b), c, d);
}

}  // namespace critical_sharpness::cuda
