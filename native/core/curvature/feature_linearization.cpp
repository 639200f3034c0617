#include "feature_linearization.hpp"

#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>

namespace critical_sharpness::curvature {

FeatureLinearization::FeatureLinearization(const FeatureNetwork& network, const std::vector<at::Tensor>& weights, Batch batch,
                                           const LinearizationOptions& options)
    : network_(network), weights_(weights), batch_(std::move(batch)), scale_(options.scale), kind_(options.kind) {
  RecordingView view({weights_}, operations_);
  const at::Tensor features = network_.features(view, batch_, options.cancel);
  features_ = features.detach();
  if (kind_ == Operator::gauss_newton) return;
  HeadGradient head;
  head.scale = scale_;
  {
    const at::NoGradGuard closed_form;
    network_.head(view, features_, batch_, &head, options.cancel);
  }
  options.cancel.check();
  torch::autograd::backward({features}, {head.features});
}

double FeatureLinearization::add_product(const ParameterVector& vector, std::vector<at::Tensor>& leaves,
                                         const Cancellation& cancel) const {
  HeadCurvature head;
  head.scale = scale_;
  head.gauss_newton = kind_ == Operator::gauss_newton;
  head.add = [&](size_t index, const at::Tensor& gradient) {
    if (!leaves[index].requires_grad()) return;
    at::Tensor& sum = leaves[index].mutable_grad();
    if (sum.defined()) sum.add_(gradient);
    else sum = gradient;
  };
  TangentView view(leaves, {weights_, &vector}, operations_);
  const at::Tensor tangent = network_.features(view, batch_, cancel);
  double slope = 0;
  {
    const at::NoGradGuard closed_form;
    slope = scale_ * network_.head_tangent(view, features_, tangent.detach(), batch_, head, cancel).item<double>();
  }
  cancel.check();
  torch::autograd::backward({tangent}, {head.features});
  return slope;
}

int64_t FeatureLinearization::byte_length() const {
  int64_t bytes = bytes_of({features_});
  for (const auto& operation : operations_) bytes += operation->byte_length();
  return bytes;
}

}  // namespace critical_sharpness::curvature
