#include "network.hpp"

#include <ATen/ops/full_like.h>
#include <torch/csrc/autograd/autograd.h>

#include "curvature/linearization.hpp"

namespace critical_sharpness {

PendingGradient Network::differentiate(const Differentiation& how, const Batch& part) const {
  const at::Tensor sum = losses(how.differentiable, {part}, how.cancel).front();
  const auto backward = [sum, scale = how.scale] {
    if (sum.requires_grad()) torch::autograd::backward({sum}, {at::full_like(sum, scale)});
  };
  return {sum.detach(), backward};
}

std::unique_ptr<curvature::Linearization> Network::linearize(const std::vector<at::Tensor>&, const Batch&,
                                                             const curvature::LinearizationOptions&) const {
  TORCH_INTERNAL_ASSERT(false, "a network that has no linearization");
}

}  // namespace critical_sharpness
