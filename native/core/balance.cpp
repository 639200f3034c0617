#include "balance.hpp"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_softmax.h>
#include <ATen/ops/add.h>
#include <ATen/ops/bincount.h>
#include <ATen/ops/mul.h>

#include "kernels/softmax.hpp"
#include "record.hpp"

namespace critical_sharpness {

void Balance::see(size_t layer, const at::Tensor& probabilities, const at::Tensor& chosen) {
  layers_[layer] = {at::bincount(chosen.reshape({-1}), {}, experts_).to(at::kDouble), probabilities.sum(at::IntArrayRef{0}, false, at::kDouble),
                    probabilities.size(0)};
}

Balance::Layer Balance::total() const {
  Layer all;
  for (const Layer& layer : layers_) {
    if (layer.tokens == 0) continue;  // it has no mixture
    all.counts = all.counts.defined() ? at::add(all.counts, layer.counts) : layer.counts;
    all.probabilities = all.probabilities.defined() ? at::add(all.probabilities, layer.probabilities) : layer.probabilities;
    all.tokens += layer.tokens;
  }
  return all;
}

at::Tensor Balance::loss() const { return at::mul(slope(), total().probabilities).sum(); }

at::Tensor Balance::slope() const {
  const Layer all = total();
  const auto tokens = static_cast<double>(all.tokens);
  return at::mul(all.counts, static_cast<double>(experts_) / (tokens * tokens));
}

at::Tensor balanced(const at::Tensor& logits, const Router& router, size_t layer, const std::shared_ptr<Balance>& balance) {
  const at::NoGradGuard closed_form;
  const at::Tensor values = logits.detach();
  const at::Tensor p = at::_softmax(values.scalar_type() == at::kBFloat16 ? values.to(at::kFloat) : values, 1, false);
  balance->see(layer, p, choose(p, router));
  if (!logits.requires_grad()) return logits;
  return record({logits}, values, [p, balance](const at::Tensor& gradient) {
    const at::Tensor into = at::mul(balance->slope(), balance->scale).to(p.scalar_type()).expand_as(p).contiguous();
    kernels::softmax_tangent(p, into);  // the softmax's Jacobian is symmetric
    return std::vector{at::add(gradient, into.to(gradient.scalar_type()))};
  });
}

}  // namespace critical_sharpness
