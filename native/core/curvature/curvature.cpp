#include "curvature.hpp"

#include "double_backward.hpp"
#include "errors.hpp"
#include "micro_batches.hpp"

namespace critical_sharpness {

using curvature::Linearization;

Curvature::Curvature(std::shared_ptr<Model> model, std::shared_ptr<const Batch> batch, CurvatureOptions options)
    : model_(std::move(model)), batch_(std::move(batch)), options_(options) {
  model_->check(*batch_);
  const Objective* objective = batch_->objective();
  if (options_.kind == curvature::Operator::gauss_newton && objective && !objective->is_convex())
    reject_range("Expected a batch without negative weights or preferences for the operator \"gauss-newton\", which is to have no "
                 "negative eigenvalues, but received one with them: the operator \"hessian\" takes it");
  if (model_->network().adds_over_rows() && options_.micro_batch > 0 && options_.micro_batch < batch_->rows()) options_.keep = false;
}

void Curvature::refresh() {
  if (!kept_ || kept_version_ == model_->version()) return;
  kept_.reset();
  bytes_ = 0;
}

CurvatureResult Curvature::product(const ParameterVector& vector, const Cancellation& cancel) {
  const auto& weights = model_->weights_to_differentiate();
  require_same_layout(*model_->layout(), *vector.layout(), "the vector");
  refresh();
  CurvatureResult result;
  result.version = model_->version();
  const Network& network = model_->network();
  auto leaves = differentiable_leaves(weights, *model_->layout());
  const curvature::LinearizationOptions options{1 / network.normalizer(*batch_), options_.kind, *model_->layout(), cancel};
  for_each_micro_batch(network, *batch_->on(model_->device()), {options_.micro_batch, cancel}, [&](const Batch& part) {
    auto linearization = std::move(kept_);
    if (!linearization) linearization = network.linearize(weights, part, options);
    if (!linearization) linearization = std::make_unique<curvature::DoubleBackward>(network, weights, part, options);
    result.slope += linearization->add_product(vector, leaves, cancel);
    if (!options_.keep) return;
    kept_ = std::move(linearization);
    kept_version_ = result.version;
    bytes_ = kept_->byte_length();
  });
  std::vector<at::Tensor> product;
  for (auto& leaf : leaves) product.push_back(leaf.grad().defined() ? leaf.grad().contiguous() : at::Tensor());
  result.product = std::make_shared<ParameterVector>(model_->layout(), std::move(product));
  return result;
}

}  // namespace critical_sharpness
