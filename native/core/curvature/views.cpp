#include "views.hpp"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/embedding.h>

#include "record.hpp"

namespace critical_sharpness::curvature {

RecordingView::RecordingView(const std::vector<at::Tensor>& leaves, Weights weights, Operations& operations)
    : ParameterView(leaves.front().scalar_type()), leaves_(leaves), weights_(weights), operations_(operations) {}

at::Tensor RecordingView::value(size_t index, at::ScalarType dtype, Scratch::Slot) { return weights_.value(index).to(dtype); }

at::Tensor RecordingView::embedding(const at::Tensor& ids, size_t weight) {
  return at::embedding(weights_.value(weight), ids);
}

at::Tensor RecordingView::linear(const at::Tensor& x, size_t weight, std::optional<size_t> bias, Storage storage) {
  return put_down(curvature::linear(weight, bias, storage == Storage::out_in, !x.requires_grad()), x.to(compute_dtype()));
}
at::Tensor RecordingView::layer_norm(const at::Tensor& x, size_t weight, size_t bias, double epsilon) {
  return put_down(curvature::layer_norm(weight, bias, epsilon), x);
}
at::Tensor RecordingView::embed(const at::Tensor& ids, size_t tokens, size_t positions) {
  return put_down(curvature::embedding(tokens, positions), ids);
}
at::Tensor RecordingView::activation(const at::Tensor& x, Activation kind) { return put_down(curvature::activation(kind), x); }
at::Tensor RecordingView::attention(const at::Tensor& qkv, int64_t batch, int64_t length, int64_t heads) {
  return put_down(curvature::attention(batch, length, heads), qkv);
}

at::Tensor RecordingView::put_down(std::unique_ptr<Operation> made, const at::Tensor& x) {
  const at::NoGradGuard no_gradient;
  Operation& operation = *operations_.emplace_back(std::move(made));
  // A leaf among the inputs makes the output need a gradient, whatever x is. The leaf itself gets none.
  return record({x, leaves_.front()}, operation.output(weights_, x.detach()),
                [&operation, weights = weights_](const at::Tensor& g) {
                  return std::vector<at::Tensor>{operation.keep_gradient(weights, g), {}};
                });
}

TangentView::TangentView(const std::vector<at::Tensor>& leaves, Weights weights, const Operations& operations)
    : ParameterView(leaves.front().scalar_type()), leaves_(leaves), weights_(weights), operations_(operations) {}

at::Tensor TangentView::value(size_t index, at::ScalarType dtype, Scratch::Slot) { return weights_.value(index).to(dtype); }

at::Tensor TangentView::embedding(const at::Tensor& ids, size_t weight) {
  return at::embedding(weights_.value(weight), ids);
}

at::Tensor TangentView::next(const at::Tensor& x) {
  const at::NoGradGuard no_gradient;
  const Operation& operation = *operations_.at(next_++);
  Tangent tangent = operation.tangent(weights_, x.requires_grad() ? x.detach() : at::Tensor());
  std::vector<at::Tensor> inputs{x};
  for (const size_t index : operation.parameters()) inputs.push_back(leaves_[index]);
  if (inputs.size() == 1) inputs.push_back(leaves_.front());
  return record(inputs, tangent.output,
                [&operation, weights = weights_, memory = std::move(tangent.memory), count = inputs.size()](const at::Tensor& g) {
                  Gradients into = operation.differentiate(weights, memory, g);
                  std::vector<at::Tensor> all{into.input};
                  all.insert(all.end(), into.parameters.begin(), into.parameters.end());
                  all.resize(count);
                  return all;
                });
}

}  // namespace critical_sharpness::curvature
