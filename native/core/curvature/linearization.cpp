#include "linearization.hpp"

#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>

namespace critical_sharpness::curvature {

std::vector<at::Tensor> leaves_of(const std::vector<at::Tensor>& weights) {
  std::vector<at::Tensor> leaves;
  for (const auto& w : weights) leaves.push_back(w.detach().requires_grad_(true));
  return leaves;
}

Linearization::Linearization(const Architecture& architecture, const std::vector<at::Tensor>& weights, Batch batch,
                             double scale, Operator kind, const Cancellation& cancel)
    : architecture_(architecture), weights_(weights), batch_(std::move(batch)), scale_(scale), kind_(kind) {
  const auto leaves = leaves_of(weights_);
  RecordingView view(leaves, {weights_}, operations_);
  const at::Tensor features = architecture_.features(view, batch_, cancel);
  features_ = features.detach();
  if (kind_ == Operator::gauss_newton) return;
  HeadGradient head;
  head.scale = scale_;
  {
    const at::NoGradGuard closed_form;
    architecture_.head(view, features_, batch_, &head, cancel);
  }
  cancel.check();
  torch::autograd::backward({features}, {head.features});
}

double Linearization::add_product(const ParameterVector& vector, std::vector<at::Tensor>& leaves,
                                  const Cancellation& cancel) const {
  HeadCurvature head;
  head.scale = scale_;
  head.gauss_newton = kind_ == Operator::gauss_newton;
  head.add = [&](size_t index, const at::Tensor& gradient) {
    at::Tensor& sum = leaves[index].mutable_grad();
    if (sum.defined()) sum.add_(gradient);
    else sum = gradient;
  };
  TangentView view(leaves, {weights_, &vector}, operations_);
  const at::Tensor tangent = architecture_.features(view, batch_, cancel);
  double slope = 0;
  {
    const at::NoGradGuard closed_form;
    slope = scale_ * architecture_.head_tangent(view, features_, tangent.detach(), batch_, head, cancel).item<double>();
  }
  cancel.check();
  torch::autograd::backward({tangent}, {head.features});
  return slope;
}

int64_t Linearization::byte_length() const {
  int64_t bytes = bytes_of({features_});
  for (const auto& operation : operations_) bytes += operation->byte_length();
  return bytes;
}

}  // namespace critical_sharpness::curvature
