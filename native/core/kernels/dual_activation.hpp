#pragma once
#include <ATen/core/Tensor.h>

#include "activation.hpp"

namespace critical_sharpness::kernels {

struct DualActivation {
  at::Tensor output;  // [2n, width]: f(x), f′(x)ẋ
  at::Tensor slope;   // [n, width]: f′(x)
  at::Tensor bend;    // [n, width]: f″(x)ẋ
};
/// Of rows x [2n, width], values and tangents.
DualActivation dual_activation(const at::Tensor& x, Activation kind);

/// x's gradient f′ȳ + f″ẋ·ȳ̇ and its tangent's f′ȳ̇.
at::Tensor dual_activation_backward(const at::Tensor& gradient, const at::Tensor& slope, const at::Tensor& bend);

}  // namespace critical_sharpness::kernels
