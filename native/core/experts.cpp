#include "experts.hpp"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/argsort.h>
#include <ATen/ops/bincount.h>
#include <ATen/ops/div.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/topk.h>

#include "record.hpp"

namespace critical_sharpness {

at::Tensor choose(const at::Tensor& probabilities, const Router& router) {
  return std::get<1>(at::topk(probabilities, router.chosen, -1));
}

Routing route(const at::Tensor& logits, const Router& router) {
  const at::Tensor wide = logits.scalar_type() == at::kBFloat16 ? logits.to(at::kFloat) : logits;
  const at::Tensor probabilities = at::softmax(wide, -1);
  const at::Tensor experts = choose(probabilities.detach(), router);
  // p divided by the chosen ones' sum is the softmax over the chosen ones alone, without what cancels.
  return {router.normalized ? at::softmax(wide.gather(-1, experts), -1) : probabilities.gather(-1, experts), experts};
}

ExpertChanges compare(const std::vector<at::Tensor>& experts, const std::vector<at::Tensor>& others) {
  TORCH_INTERNAL_ASSERT(experts.size() == others.size());
  const auto sorted = [](const at::Tensor& choice) { return std::get<0>(choice.sort(1)); };
  ExpertChanges changes;
  for (size_t i = 0; i < experts.size(); i++) {
    changes.changed += sorted(experts[i]).ne(sorted(others[i])).any(1).sum().item<int64_t>();
    changes.of += experts[i].size(0);
  }
  return changes;
}

Dispatch::Dispatch(const at::Tensor& experts, int64_t count) : chosen_(experts.size(1)) {
  const at::Tensor flat = experts.reshape({-1});
  order_ = at::argsort(flat, /*stable=*/true, 0, /*descending=*/false);
  place_ = at::empty_like(order_).scatter_(0, order_, at::arange(order_.numel(), order_.options()));
  tokens_ = at::div(order_, chosen_, "floor");
  const at::Tensor counts = at::bincount(flat, {}, count).to(at::kCPU);
  counts_.assign(counts.const_data_ptr<int64_t>(), counts.const_data_ptr<int64_t>() + counts.numel());
}

at::Tensor Dispatch::rows_of(const at::Tensor& tokens) const {
  if (!tokens.requires_grad()) return tokens.index_select(0, tokens_);
  const at::NoGradGuard closed_form;
  const auto backward = [chosen = chosen_, place = place_](const at::Tensor& gradient) {
    return std::vector{gradient.index_select(0, place).view({-1, chosen, gradient.size(1)}).sum(1)};
  };
  return record({tokens}, tokens.detach().index_select(0, tokens_), backward);
}

at::Tensor Dispatch::weighted_sum(const at::Tensor& weights, const at::Tensor& rows) const {
  const at::Tensor places = place_.view({-1, chosen_});
  at::Tensor sum;
  for (int64_t k = 0; k < chosen_; k++) {
    const at::Tensor term = at::mul(rows.index_select(0, places.select(1, k)), weights.narrow(1, k, 1));
    sum = sum.defined() ? sum.add_(term) : term;
  }
  return sum;
}

at::Tensor Dispatch::gradient_in_rows(const at::Tensor& gradient, const at::Tensor& weights) const {
  return gradient.index_select(0, tokens_).mul_(weights.reshape({-1, 1}).index_select(0, order_));
}

at::Tensor Dispatch::gradient_in_weights(const at::Tensor& gradient, const at::Tensor& rows) const {
  const at::Tensor products = gradient.index_select(0, tokens_).mul_(rows);
  return products.sum(-1).index_select(0, place_).view({-1, chosen_});
}

at::Tensor combine(const at::Tensor& weights, const at::Tensor& rows, const Dispatch& dispatch) {
  if (!weights.requires_grad() && !rows.requires_grad()) return dispatch.weighted_sum(weights, rows);
  const at::NoGradGuard closed_form;
  const at::Tensor w = weights.detach(), y = rows.detach();
  const auto backward = [dispatch, w, y](const at::Tensor& gradient) {
    return std::vector{dispatch.gradient_in_weights(gradient, y), dispatch.gradient_in_rows(gradient, w).to(y.scalar_type())};
  };
  return record({weights, rows}, dispatch.weighted_sum(w, y), backward);
}

}  // namespace critical_sharpness
