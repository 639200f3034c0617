#pragma once
#include <ATen/core/Tensor.h>

#include "../activation.hpp"

namespace critical_sharpness::kernels {

struct ActivationDerivatives {
  at::Tensor output, first, second;  // f(x), f′(x), f″(x), of x's shape
};
ActivationDerivatives activation_derivatives(const at::Tensor& x, Activation kind);

/// a·b + c·d, of contiguous tensors of one shape.
at::Tensor sum_of_products(const at::Tensor& a, const at::Tensor& b, const at::Tensor& c, const at::Tensor& d);

}  // namespace critical_sharpness::kernels
