#pragma once
#include <ATen/core/Tensor.h>

namespace critical_sharpness {

enum class Activation { gelu, gelu_tanh, relu, silu, tanh };

at::Tensor activate(const at::Tensor& x, Activation activation);

}  // namespace critical_sharpness
