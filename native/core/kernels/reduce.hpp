#pragma once
#include <ATen/core/Tensor.h>

#include <vector>

#include "delta.hpp"

namespace critical_sharpness::kernels {

/// Σ aᵢbᵢ over each parameter of two directions, [parameters] in float64 on their device; 0 where one is zero. Summed within
/// fixed chunks first, then chunk by chunk in order: the same bits for every number of threads.
at::Tensor dots(const std::vector<Delta>& a, const std::vector<Delta>& b, const Cancellation& cancel = {});

}  // namespace critical_sharpness::kernels
