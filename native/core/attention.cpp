#include "attention.hpp"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/full.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/triu.h>

#include <limits>
#include <memory>

#include "record.hpp"
#include "score_attention.hpp"

namespace critical_sharpness {
namespace {

/// Flash attention has no cap.
at::Tensor attend_by_scores(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Attention& attention) {
  const at::ScalarType dtype = q.scalar_type() == at::kBFloat16 ? at::kFloat : q.scalar_type();
  const at::Tensor wide[] = {q.to(dtype), repeat_heads(k.to(dtype), q.size(2)), repeat_heads(v.to(dtype), q.size(2))};
  const bool differentiable = wide[0].requires_grad() || wide[1].requires_grad() || wide[2].requires_grad();
  const auto [scores, heads, out] = [&] {
    const at::NoGradGuard no_gradient;
    auto made = std::make_shared<const ScoreAttention>(attention, wide[0]);
    const Heads inputs{made->to_heads(wide[0].detach()), made->to_heads(wide[1].detach()), made->to_heads(wide[2].detach())};
    return std::tuple(made, inputs, made->to_rows(made->output(inputs)));
  }();
  if (!differentiable) return out.to(q.scalar_type());
  const auto backward = [scores = scores, heads = heads](const at::Tensor& gradient) {
    const Heads into = scores->gradient(heads, scores->to_heads(gradient));
    return std::vector{scores->to_inputs(into.q), scores->to_inputs(into.k), scores->to_inputs(into.v)};
  };
  return record({wide[0], wide[1], wide[2]}, out, backward).to(q.scalar_type());
}

}  // namespace

at::Tensor window_mask(int64_t length, int64_t window, at::TensorOptions options) {
  const at::Tensor later = at::full({length, length}, -std::numeric_limits<double>::infinity(), options);
  return at::triu(later, 1).add_(later.tril(-window));
}

at::Tensor repeat_heads(const at::Tensor& x, int64_t heads) {
  const int64_t batch = x.size(0), length = x.size(1), few = x.size(2), size = x.size(3);
  if (few == heads) return x;
  return x.unsqueeze(3).expand({batch, length, few, heads / few, size}).reshape({batch, length, heads, size});
}

at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Attention& attention) {
  if (attention.cap > 0) return attend_by_scores(q, k, v, attention);
  const c10::optional<at::Tensor> mask = attention.mask.defined() ? c10::optional<at::Tensor>(attention.mask) : c10::nullopt;
  const at::Tensor out = at::scaled_dot_product_attention(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), mask, 0.0,
                                                          /*is_causal=*/!mask, attention.scale, k.size(2) != q.size(2));
  return out.transpose(1, 2).reshape({q.size(0) * q.size(1), q.size(2) * q.size(3)});
}

}  // namespace critical_sharpness
