#include "curvature.hpp"

#include <ATen/ops/scalar_tensor.h>

#include <utility>

#include "double_backward.hpp"
#include "errors.hpp"
#include "micro_batches.hpp"
#include "ranks/ordered_sum.hpp"
#include "ranks/vector_sum.hpp"
#include "ranks/whole.hpp"

namespace critical_sharpness {

using curvature::Linearization;

Curvature::Curvature(std::shared_ptr<Model> model, std::shared_ptr<const Batch> batch, CurvatureOptions options)
    : model_(std::move(model)), batch_(std::move(batch)), options_(options), whole_layout_(whole_layout(*model_->layout())) {
  model_->check(*batch_);
  const Objective* objective = batch_->objective();
  if (options_.kind == curvature::Operator::gauss_newton && objective && !objective->is_convex())
    reject_range("Expected a batch without negative weights or preferences for the operator \"gauss-newton\", which is to have no "
                 "negative eigenvalues, but received one with them: the operator \"hessian\" takes it");
  if (options_.kind == curvature::Operator::gauss_newton && !model_->network().is_linearizable())
    reject_range("Expected the operator \"hessian\" for a network that is differentiated by autograd alone but received \"gauss-newton\"");
  if (model_->network().adds_over_rows() && options_.micro_batch > 0 && options_.micro_batch < batch_->rows()) options_.keep = false;
}

void Curvature::refresh() {
  if (kept_version_ == model_->version()) return;
  kept_.reset();
  weights_.clear();
  kept_version_ = model_->version();
  bytes_ = 0;
}

const std::vector<at::Tensor>& Curvature::whole_weights() {
  const auto& here = model_->weights_to_differentiate();
  if (!model_->layout()->shards) return here;
  if (weights_.empty()) weights_ = whole_tensors(*model_->layout(), here);
  return weights_;
}

double Curvature::add_product(const Batch& part, const ParameterVector& vector, std::vector<at::Tensor>& leaves, const Cancellation& cancel) {
  const Network& network = model_->network();
  auto linearization = std::move(kept_);
  const curvature::LinearizationOptions options{scale_, options_.kind, *whole_layout_, cancel};
  if (!linearization && network.is_linearizable()) linearization = network.linearize(whole_weights(), part, options);
  if (!linearization) linearization = std::make_unique<curvature::DoubleBackward>(network, whole_weights(), part, options);
  const double slope = linearization->add_product(vector, leaves, cancel);
  if (options_.keep) kept_ = std::move(linearization);
  return slope;
}

CurvatureResult Curvature::product(const ParameterVector& vector, const Cancellation& cancel) {
  require_same_layout(*model_->layout(), *vector.layout(), "the vector");
  Group* group = model_->layout()->group.get();
  if (!group) return own_product(vector, cancel);
  return group->call({"product",
                      {{"weights", model_->version()},
                       {"batch", batch_->digest()},
                       {"micro-batch", static_cast<uint64_t>(options_.micro_batch)},
                       {"kind of device", static_cast<uint64_t>(model_->device().type())},
                       {"operator", static_cast<uint64_t>(options_.kind)}}},
                     cancel, [&] { return own_product(vector, cancel); });
}

CurvatureResult Curvature::own_product(const ParameterVector& vector, const Cancellation& cancel) {
  const Layout& layout = *model_->layout();
  refresh();
  scale_ = 1 / model_->network().normalizer(*batch_);
  auto leaves = differentiable_leaves(whole_weights(), *whole_layout_);
  const ParameterVector whole(whole_layout_, whole_tensors(layout, vector.tensors()));
  const Batch& here = *batch_->on(model_->device());
  const auto rows = micro_batches(model_->network(), here, {options_.micro_batch, cancel});
  // One rank alone must not leave a product that the others are in: they ask each other between rounds.
  const Cancellation within = layout.group ? Cancellation() : cancel;
  OrderedSum slope(layout.group.get(), layout.options());
  VectorSum sum(layout);
  const auto ranks = static_cast<size_t>(slope.size());
  for (size_t first = 0; first < rows.size(); first += ranks) {
    if (!layout.group) cancel.check();
    const size_t mine = first + static_cast<size_t>(slope.rank()), present = std::min(ranks, rows.size() - first);
    std::vector<at::Tensor> slopes;
    if (mine < rows.size())
      slopes.push_back(own_part(layout.group.get(), [&] {
        return at::scalar_tensor(add_product(here.slice(rows[mine].start, rows[mine].length), whole, leaves, within), at::kDouble);
      }));
    slope.add(slopes, present, cancel);
    std::vector<at::Tensor> part;
    for (auto& leaf : leaves) part.push_back(std::exchange(leaf.mutable_grad(), at::Tensor()));
    sum.add(std::move(part), present);
  }
  bytes_ = (weights_.empty() ? 0 : whole_layout_->byte_length()) + (kept_ ? kept_->byte_length() : 0);
  return {slope.value(), kept_version_, std::make_shared<ParameterVector>(model_->layout(), sum.take())};
}

}  // namespace critical_sharpness
