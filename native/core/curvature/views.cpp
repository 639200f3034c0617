#include "views.hpp"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/zeros.h>

#include "record.hpp"

namespace critical_sharpness::curvature {

namespace {

at::ScalarType dtype_of(const Weights& weights) { return weights.values.front().scalar_type(); }
at::Tensor moving() { return at::zeros({}).requires_grad_(true); }

}  // namespace

RecordingView::RecordingView(Weights weights, Operations& operations)
    : ParameterView(dtype_of(weights), dtype_of(weights)), weights_(weights), moving_(moving()), operations_(operations) {}

at::Tensor RecordingView::value(size_t index, at::ScalarType dtype) { return weights_.value(index).to(dtype); }

at::Tensor RecordingView::embedding(const at::Tensor& ids, size_t weight) {
  return at::embedding(weights_.value(weight), ids);
}

at::Tensor RecordingView::linear(const at::Tensor& x, size_t weight, std::optional<size_t> bias, Storage storage) {
  return put_down(curvature::linear(weight, bias, storage == Storage::out_in, !x.requires_grad()), {x.to(compute_dtype())});
}
at::Tensor RecordingView::norm(const at::Tensor& x, const Norm& norm) { return put_down(curvature::norm(norm), {x}); }
at::Tensor RecordingView::embed(const at::Tensor& ids, size_t tokens, std::optional<size_t> positions, int64_t padding) {
  return put_down(curvature::embedding(tokens, positions, padding), {ids});
}
at::Tensor RecordingView::activation(const at::Tensor& x, Activation kind) {
  return put_down(curvature::activation(kind), {x});
}
at::Tensor RecordingView::gate(const at::Tensor& g, const at::Tensor& x, Activation kind) {
  return put_down(curvature::gate(kind), {g, x});
}
at::Tensor RecordingView::clamp(const at::Tensor& x, double bound) { return put_down(curvature::clamp(bound), {x}); }
at::Tensor RecordingView::attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Attention& how) {
  return put_down(curvature::attention(how), {q, repeat_heads(k, q.size(2)), repeat_heads(v, q.size(2))});
}

Routing RecordingView::route(const at::Tensor& logits, const Router& router) {
  auto made = curvature::route(router);
  const Choice& choice = *made;
  const at::Tensor weights = put_down(std::move(made), {logits});
  return {weights, choice.experts()};
}
at::Tensor RecordingView::combine(const at::Tensor& weights, const at::Tensor& rows, const Dispatch& dispatch) {
  return put_down(curvature::combine(dispatch), {weights, rows});
}

at::Tensor RecordingView::balanced(const at::Tensor& logits, const Router& router, size_t layer,
                                   const std::shared_ptr<Balance>& balance) {
  return put_down(curvature::balance(router, layer, balance), {logits});
}

at::Tensor RecordingView::put_down(std::unique_ptr<Operation> made, Tensors inputs) {
  const at::NoGradGuard no_gradient;
  Operation& operation = *operations_.emplace_back(std::move(made));
  Tensors values;
  for (const auto& x : inputs) values.push_back(x.detach());
  inputs.push_back(moving_);
  return record(inputs, operation.output(weights_, values), [&operation, weights = weights_](const at::Tensor& g) {
    Tensors into = operation.keep_gradient(weights, g);
    into.emplace_back();
    return into;
  });
}

TangentView::TangentView(const std::vector<at::Tensor>& leaves, Weights weights, const Operations& operations)
    : ParameterView(dtype_of(weights), dtype_of(weights)),
      leaves_(leaves),
      weights_(weights),
      moving_(moving()),
      operations_(operations) {}

at::Tensor TangentView::value(size_t index, at::ScalarType dtype) { return weights_.value(index).to(dtype); }

at::Tensor TangentView::embedding(const at::Tensor& ids, size_t weight) {
  return at::embedding(weights_.value(weight), ids);
}

at::Tensor TangentView::attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Attention&) {
  return next({q, repeat_heads(k, q.size(2)), repeat_heads(v, q.size(2))});
}

Routing TangentView::route(const at::Tensor& logits, const Router&) {
  const auto& choice = dynamic_cast<const Choice&>(*operations_.at(next_));
  return {next({logits}), choice.experts()};
}

at::Tensor TangentView::balanced(const at::Tensor& logits, const Router&, size_t, const std::shared_ptr<Balance>& balance) {
  const at::NoGradGuard no_gradient;
  const at::Tensor along = dynamic_cast<const Balancing&>(*operations_.at(next_)).along(logits.detach());
  balance->tangent = balance->tangent.defined() ? balance->tangent.add(along) : along;
  return next({logits});
}

at::Tensor TangentView::next(Tensors inputs) {
  const at::NoGradGuard no_gradient;
  const Operation& operation = *operations_.at(next_++);
  Tensors tangents;
  for (const auto& x : inputs) tangents.push_back(x.requires_grad() ? x.detach() : at::Tensor());
  Tangent tangent = operation.tangent(weights_, tangents);
  for (const size_t index : operation.parameters()) inputs.push_back(leaves_[index]);
  inputs.push_back(moving_);
  return record(inputs, tangent.output,
                [&operation, weights = weights_, memory = std::move(tangent.memory), count = inputs.size()](const at::Tensor& g) {
                  Gradients into = operation.differentiate(weights, memory, g);
                  Tensors all = std::move(into.inputs);
                  all.insert(all.end(), into.parameters.begin(), into.parameters.end());
                  all.resize(count);
                  return all;
                });
}

}  // namespace critical_sharpness::curvature
