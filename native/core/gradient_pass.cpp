#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>

#include <utility>

#include "model.hpp"
#include "ranks/sharded_gradient.hpp"

namespace critical_sharpness {
namespace {

/// Called each time that a leaf's gradient was added to.
struct AfterGradient final : torch::autograd::PostAccumulateGradHook {
  explicit AfterGradient(std::function<void()> call) : call(std::move(call)) {}
  void operator()(const at::Tensor&) override { call(); }
  std::function<void()> call;
};

}  // namespace

GradientResult Model::gradient(const Batch& batch, const PassOptions& options) {
  std::vector<at::Tensor> gradients(layout_->size());
  const GradientSink sink{{}, [&](size_t i, const at::Tensor& gradient) { gradients[i] = gradient; }};
  const LossResult result = differentiate(batch, options, sink);
  return {result.loss, result.version, std::make_shared<ParameterVector>(layout_, std::move(gradients))};
}

LossResult Model::differentiate(const Batch& batch, const PassOptions& options, const GradientSink& sink) {
  return together(layout_->group.get(), call_of("gradient", batch, options, 0), options.cancel,
                  [&] { return own_differentiate(batch, options, sink); });
}

LossResult Model::own_differentiate(const Batch& batch, const PassOptions& options, const GradientSink& sink) {
  require_weights();
  check(batch);
  kept_.clear();
  if (layout_->group) {
    const ShardedPass pass{*network_, *layout_, weights_, dtype_of(options), scratch_of(options)};
    return {differentiate_shards(pass, batch, options, sink), version()};
  }
  auto leaves = differentiable_leaves(weights_, *layout_);
  PlainView plain(weights_, dtype_of(options), scratch_of(options));
  DifferentiableView differentiable(weights_, leaves, dtype_of(options), plain, options.recompute);

  // A micro-batch's own part is whole before it is added to those before it, wherever its contributions come from.
  std::vector<at::Tensor> sums(leaves.size());
  std::vector<bool> taken(leaves.size());
  bool is_last = false;
  const auto take = [&](size_t i) {
    TORCH_INTERNAL_ASSERT(!taken[i]);
    const at::Tensor gradient = std::exchange(sums[i], at::Tensor());
    taken[i] = true;
    sink.take(i, gradient.defined() ? gradient.contiguous() : gradient);
  };
  const auto part_is_whole = [&](size_t i) {
    at::Tensor part = std::exchange(leaves[i].mutable_grad(), at::Tensor());
    if (!sums[i].defined()) sums[i] = std::move(part);
    else if (part.defined()) sums[i].add_(part);
    if (is_last) take(i);
  };
  std::vector<size_t> before_backward, trainable;
  for (size_t i = 0; i < leaves.size(); i++) {
    if (!layout_->is_trainable(i)) continue;
    trainable.push_back(i);
    if (network_->is_whole_before_backward(i)) before_backward.push_back(i);
    else torch::autograd::impl::set_post_acc_grad_hooks(leaves[i], std::make_unique<AfterGradient>([&part_is_whole, i] { part_is_whole(i); }));
  }

  const double scale = 1 / network_->normalizer(batch);
  const auto wanted = [&](size_t i) { return layout_->is_trainable(i); };
  const auto add = [&](size_t i, const at::Tensor& gradient) {
    at::Tensor& sum = leaves[i].mutable_grad();
    if (sum.defined()) sum.add_(gradient);
    else sum = gradient.to(layout_->dtype);
  };
  const at::Tensor sum = at::zeros({}, layout_->options().dtype(at::kDouble));
  int64_t rows = 0;
  for_each_micro_batch(*network_, *batch.on(device()), options, [&](const Batch& part) {
    const PendingGradient pending = network_->differentiate({plain, differentiable, scale, wanted, add, options.cancel}, part);
    sum.add_(pending.sum);
    options.cancel.check();
    rows += part.rows();
    is_last = rows == batch.rows();
    if (is_last && sink.begin) sink.begin(sum.item<double>() * scale);
    for (const size_t i : before_backward) part_is_whole(i);
    pending.backward();
  });
  // What the network made no use of, or nothing of in its last micro-batch.
  for (const size_t i : trainable)
    if (!taken[i]) take(i);
  return {sum.item<double>() / network_->normalizer(batch), version()};
}

}  // namespace critical_sharpness
