#include "balance.hpp"

#include <ATen/ops/_softmax.h>
#include <ATen/ops/add.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/zeros_like.h>

#include "kernels/softmax.hpp"
#include "operation.hpp"

namespace critical_sharpness::curvature {
namespace {

/// The identity of logits, whose gradient has that of the auxiliary loss beside it. That loss is linear in the probabilities: it has no
/// part in Gauss–Newton.
class Balanced final : public Balancing {
 public:
  Balanced(const Router& router, size_t layer, std::shared_ptr<Balance> balance)
      : router_(router), layer_(layer), balance_(std::move(balance)) {}

  at::Tensor output(const Weights&, const Tensors& inputs) override {
    p_ = at::_softmax(inputs[0].contiguous(), 1, false);
    balance_->see(layer_, p_, choose(p_, router_));
    return inputs[0];
  }
  Tensors keep_gradient(const Weights&, const at::Tensor& gradient) override {
    into_p_ = at::mul(balance_->slope(), balance_->scale).to(p_.scalar_type()).expand_as(p_).contiguous();
    const at::Tensor into = into_p_.clone();
    kernels::softmax_tangent(p_, into);
    return {into.add_(gradient)};
  }
  Tangent tangent(const Weights&, const Tensors& inputs) const override { return {inputs[0], {inputs[0].contiguous()}}; }
  Gradients differentiate(const Weights&, const Memory& memory, const at::Tensor& gradient) const override {
    if (!into_p_.defined()) return {{gradient}, {}};
    const at::Tensor moved = memory[0].clone(), into = at::zeros_like(p_), into_moved = into_p_.clone();
    kernels::softmax_backward(p_, moved, into, into_moved);
    return {{at::add(into, gradient)}, {}};
  }
  at::Tensor along(const at::Tensor& logits) const override {
    const at::Tensor moved = logits.clone(at::MemoryFormat::Contiguous);
    kernels::softmax_tangent(p_, moved);
    return at::mul(moved.sum(at::IntArrayRef{0}, false, at::kDouble), balance_->slope()).sum();
  }
  int64_t byte_length() const override { return bytes_of({p_, into_p_}); }

 private:
  Router router_;
  size_t layer_;
  std::shared_ptr<Balance> balance_;
  at::Tensor p_, into_p_;
};

}  // namespace

std::unique_ptr<Operation> balance(const Router& router, size_t layer, std::shared_ptr<Balance> balance) {
  return std::make_unique<Balanced>(router, layer, std::move(balance));
}

}  // namespace critical_sharpness::curvature
