#pragma once
#include <ATen/core/Tensor.h>

#include <vector>

namespace critical_sharpness::kernels {

/// Σ aᵢbᵢ over two lists in float64. Summed within fixed chunks first, then chunk by chunk in order: the same bits
/// for every number of threads. A pair with an undefined side counts as zero.
double dot(const std::vector<at::Tensor>& a, const std::vector<at::Tensor>& b);

}  // namespace critical_sharpness::kernels
