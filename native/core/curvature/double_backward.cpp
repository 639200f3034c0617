#include "double_backward.hpp"

#include <ATen/Context.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/add.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/mul.h>
#include <torch/csrc/autograd/autograd.h>

#include "errors.hpp"

namespace critical_sharpness::curvature {
namespace {

/// While it lives, attention is computed by the kernel that can be differentiated twice.
class MathAttention {
 public:
  MathAttention() : flash_(at::globalContext().userEnabledFlashSDP()), efficient_(at::globalContext().userEnabledMemEfficientSDP()) {
    set(false, false);
  }
  ~MathAttention() { set(flash_, efficient_); }
  MathAttention(const MathAttention&) = delete;
  MathAttention& operator=(const MathAttention&) = delete;

 private:
  static void set(bool flash, bool efficient) {
    at::globalContext().setSDPUseFlash(flash);
    at::globalContext().setSDPUseMemEfficient(efficient);
  }
  bool flash_, efficient_;
};

/// Those that need a gradient.
std::vector<at::Tensor> differentiable(const std::vector<at::Tensor>& leaves) {
  std::vector<at::Tensor> some;
  for (const auto& leaf : leaves)
    if (leaf.requires_grad()) some.push_back(leaf);
  return some;
}

/// The gradients of differentiable(leaves), in the places of all leaves.
std::vector<at::Tensor> in_place_of(const std::vector<at::Tensor>& leaves, const std::vector<at::Tensor>& some) {
  std::vector<at::Tensor> all(leaves.size());
  size_t next = 0;
  for (size_t i = 0; i < leaves.size(); i++)
    if (leaves[i].requires_grad()) all[i] = some[next++];
  return all;
}

}  // namespace

DoubleBackward::DoubleBackward(const Network& network, const std::vector<at::Tensor>& weights, const Batch& batch,
                               const LinearizationOptions& options)
    : leaves_(differentiable_leaves(weights, options.layout)) {
  TORCH_INTERNAL_ASSERT(options.kind == Operator::hessian);
  const MathAttention twice;
  Scratch none(0, 0);
  PlainView plain(weights, weights.front().scalar_type(), none);
  DifferentiableView view(weights, leaves_, weights.front().scalar_type(), plain, false);
  const at::Tensor sum = network.losses(view, {batch}, options.cancel).front();
  gradients_.resize(leaves_.size());
  if (!sum.requires_grad()) return;
  options.cancel.check();
  gradients_ = in_place_of(leaves_, torch::autograd::grad({sum}, differentiable(leaves_), {at::full_like(sum, options.scale)},
                                                          /*retain_graph=*/true, /*create_graph=*/true, /*allow_unused=*/true));
}

double DoubleBackward::add_product(const ParameterVector& vector, std::vector<at::Tensor>& leaves, const Cancellation& cancel) const {
  cancel.check();
  at::Tensor slope;
  {
    const at::AutoGradMode on(true);
    for (size_t i = 0; i < leaves_.size(); i++) {
      if (!gradients_[i].defined() || !vector[i].defined()) continue;
      const at::Tensor part = at::mul(gradients_[i], vector[i]).sum(at::kDouble);
      slope = slope.defined() ? at::add(slope, part) : part;
    }
  }
  if (!slope.defined()) return 0;
  if (slope.requires_grad()) {
    const MathAttention twice;
    const auto product = in_place_of(leaves_, torch::autograd::grad({slope}, differentiable(leaves_), {}, /*retain_graph=*/true,
                                                                    /*create_graph=*/false, /*allow_unused=*/true));
    for (size_t i = 0; i < leaves.size(); i++) {
      if (!product[i].defined()) continue;
      at::Tensor& sum = leaves[i].mutable_grad();
      sum = sum.defined() ? sum.add_(product[i]) : product[i].clone();
    }
  }
  return slope.item<double>();
}

int64_t DoubleBackward::byte_length() const {
  // What the graph holds beside them nobody tells.
  int64_t bytes = 0;
  for (const auto& g : gradients_)
    if (g.defined()) bytes += static_cast<int64_t>(g.nbytes());
  return bytes;
}

}  // namespace critical_sharpness::curvature
