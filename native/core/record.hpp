#pragma once
#include <ATen/core/Tensor.h>

#include <functional>
#include <vector>

namespace critical_sharpness {

/// From the output's gradient, contiguous, to the inputs'; undefined = none.
using Backward = std::function<std::vector<at::Tensor>(const at::Tensor& gradient)>;

/// `output` as a function of `inputs`: one node of autograd's graph, which runs `backward` once and then lets go of what it
/// holds. To be called, and `output` to be computed, with gradient mode off.
at::Tensor record(at::TensorList inputs, at::Tensor output, Backward backward);

}  // namespace critical_sharpness
