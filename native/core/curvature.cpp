#include <ATen/core/Tensor.h>
#include <torch/csrc/autograd/autograd.h>

#include "dual_view.hpp"
#include "errors.hpp"
#include "model.hpp"

namespace critical_sharpness {

CurvatureResult Model::curvature_product(const Batch& batch, const ParameterVector& vector, CurvatureOperator curvature,
                                         const PassOptions& options) {
  require_weights();
  check(batch);
  require_same_layout(*layout_, *vector.layout(), "the vector");
  if (compute_dtype_ != layout_->dtype)
    reject_range("Expected a model that computes in float32 or float64 for second derivatives but received one that computes in bfloat16");
  std::vector<at::Tensor> leaves;
  for (const auto& w : weights_) leaves.push_back(w.detach().requires_grad_(true));
  HeadCurvature head;
  head.scale = 1 / architecture_->normalizer(batch);
  head.gauss_newton = curvature == CurvatureOperator::gauss_newton;
  head.add = [&](size_t index, const at::Tensor& gradient) {
    at::Tensor& sum = leaves[index].mutable_grad();
    if (sum.defined()) sum.add_(gradient);
    else sum = gradient;
  };
  DualView view(leaves, vector, head.gauss_newton);
  double slope = 0;
  for_each_micro_batch(batch, options, [&](const Batch& part) {
    const at::Tensor features = architecture_->features(view, part, options.cancel);
    {
      const at::NoGradGuard closed_form;
      slope += architecture_->head_tangent(view, features.detach(), part, head, options.cancel);
      if (head.gauss_newton) dual::tangents(head.features).zero_();
    }
    options.cancel.check();
    torch::autograd::backward({features}, {head.features});
  });

  std::vector<at::Tensor> product;
  for (auto& leaf : leaves) product.push_back(leaf.grad().defined() ? leaf.grad().contiguous() : at::Tensor());
  return {slope * head.scale, version(), std::make_shared<ParameterVector>(layout_, std::move(product))};
}

}  // namespace critical_sharpness
