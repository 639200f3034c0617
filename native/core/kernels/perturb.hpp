#pragma once
#include <ATen/core/Tensor.h>

namespace critical_sharpness::kernels {

/// out = θ − ηΔ, combined in θ's precision and rounded once to out's dtype (θ's own, or bfloat16 from float32).
/// All contiguous and of one shape; Δ has θ's dtype; undefined Δ = zeros.
void perturb(const at::Tensor& out, const at::Tensor& weight, const at::Tensor& direction, double learning_rate);

}  // namespace critical_sharpness::kernels
