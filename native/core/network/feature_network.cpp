#include "feature_network.hpp"

#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>

#include "curvature/feature_linearization.hpp"

namespace critical_sharpness {

std::vector<at::Tensor> FeatureNetwork::losses(ParameterView& view, const std::vector<Batch>& parts,
                                               const Cancellation& cancel) const {
  std::vector<at::Tensor> inputs = features(view, parts, cancel), sums;
  const ParameterView::Shared shared(view, parts.size());
  for (size_t k = 0; k < parts.size(); k++) sums.push_back(head(view, std::exchange(inputs[k], {}), parts[k], nullptr, cancel));
  return sums;
}

PendingGradient FeatureNetwork::differentiate(const Differentiation& how, const Batch& part) const {
  const at::Tensor made = features(how.differentiable, part, how.cancel);
  HeadGradient gradient{how.scale, {}, how.wanted, how.add};
  const at::NoGradGuard closed_form;
  const at::Tensor sum = head(how.plain, made.detach(), part, &gradient, how.cancel);
  const auto backward = [made, into = gradient.features] {
    if (made.requires_grad()) torch::autograd::backward({made}, {into});
  };
  return {sum, backward};
}

std::unique_ptr<curvature::Linearization> FeatureNetwork::linearize(const std::vector<at::Tensor>& weights, const Batch& part,
                                                                    const curvature::LinearizationOptions& options) const {
  return std::make_unique<curvature::FeatureLinearization>(*this, weights, part, options);
}

}  // namespace critical_sharpness
