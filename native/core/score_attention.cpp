#include "score_attention.hpp"

#include <ATen/ops/_softmax.h>
#include <ATen/ops/baddbmm.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/empty_like.h>

#include <algorithm>

#include "kernels/softmax.hpp"

namespace critical_sharpness {
namespace {

/// Scores that one matrix of a stretch of heads may hold: 2 MiB of float32, so that the handful of matrices of a stretch
/// stay in cache.
constexpr int64_t scores_at_once = 1 << 19;

}  // namespace

Heads Heads::empty_like() const { return {at::empty_like(q), at::empty_like(k), at::empty_like(v)}; }

/// Probabilities and, where scores are capped, tanh(s/cap): the cap's slope is 1 − tanh², its bend −2·tanh·slope/cap.
struct ScoreAttention::Scores {
  at::Tensor p, tanh;
  at::Tensor slope() const { return tanh.square().neg_().add_(1); }
};

ScoreAttention::ScoreAttention(const Attention& attention, const at::Tensor& like)
    : batch_(like.size(0)),
      length_(like.size(1)),
      heads_(like.size(2)),
      size_(like.size(3)),
      scale_(attention.scale),
      cap_(attention.cap),
      mask_(attention.mask.defined() ? attention.mask.to(like.scalar_type())
                                     : window_mask(length_, length_, like.options())) {}

at::Tensor ScoreAttention::to_heads(const at::Tensor& x) const {
  return x.reshape({batch_, length_, heads_, size_}).transpose(1, 2).reshape({batch_ * heads_, length_, size_}).contiguous();
}
at::Tensor ScoreAttention::to_inputs(const at::Tensor& heads) const {
  return heads.view({batch_, heads_, length_, size_}).transpose(1, 2);
}
at::Tensor ScoreAttention::to_rows(const at::Tensor& heads) const {
  return to_inputs(heads).reshape({batch_ * length_, heads_ * size_});
}

/// Calls body(first, how many) for stretches of heads.
template <class Body>
void ScoreAttention::for_each_stretch(const Body& body) const {
  const int64_t all = batch_ * heads_, at_once = std::max<int64_t>(1, scores_at_once / (length_ * length_));
  for (int64_t start = 0; start < all; start += at_once) body(start, std::min(at_once, all - start));
}

ScoreAttention::Scores ScoreAttention::scores(const Heads& h) const {
  if (cap_ == 0) return {at::_softmax(at::baddbmm(mask_, h.q, h.k.transpose(1, 2), 1, scale_), -1, false), {}};
  const at::Tensor tanh = at::bmm(h.q, h.k.transpose(1, 2)).mul_(scale_ / cap_).tanh_();
  return {at::_softmax(tanh.mul(cap_).add_(mask_), -1, false), tanh};
}

/// scale·(Q̇Kᵀ + QK̇ᵀ), not capped.
at::Tensor ScoreAttention::scores_tangent(const Heads& h, const Heads& dot) const {
  at::Tensor tangent = at::bmm(dot.q, h.k.transpose(1, 2));
  return tangent.baddbmm_(h.q, dot.k.transpose(1, 2), scale_, scale_);
}

/// out ← scale·a·b
void ScoreAttention::product(at::Tensor& out, const at::Tensor& a, const at::Tensor& b) const {
  at::baddbmm_out(out, out, a, b, 0, scale_);
}

at::Tensor ScoreAttention::output(const Heads& inputs) const {
  const at::Tensor out = at::empty_like(inputs.q);
  for_each_stretch([&](int64_t start, int64_t count) {
    const Heads h = inputs.stretch(start, count);
    at::Tensor o = out.narrow(0, start, count);
    at::bmm_out(o, scores(h).p, h.v);
  });
  return out;
}

Heads ScoreAttention::gradient(const Heads& inputs, const at::Tensor& gradient) const {
  const Heads all = inputs.empty_like();
  for_each_stretch([&](int64_t start, int64_t count) {
    const Heads h = inputs.stretch(start, count);
    Heads into = all.stretch(start, count);
    const Scores made = scores(h);
    const at::Tensor g = gradient.narrow(0, start, count), into_scores = at::bmm(g, h.v.transpose(1, 2));
    kernels::softmax_tangent(made.p, into_scores);  // the softmax's Jacobian is symmetric
    if (cap_ != 0) into_scores.mul_(made.slope());
    at::bmm_out(into.v, made.p.transpose(1, 2), g);
    product(into.q, into_scores, h.k);
    product(into.k, into_scores.transpose(1, 2), h.q);
  });
  return all;
}

at::Tensor ScoreAttention::tangent(const Heads& inputs, const Heads& tangents) const {
  const at::Tensor out = at::empty_like(inputs.q);
  for_each_stretch([&](int64_t start, int64_t count) {
    const Heads h = inputs.stretch(start, count), dot = tangents.stretch(start, count);
    const Scores made = scores(h);
    const at::Tensor p_dot = scores_tangent(h, dot);
    if (cap_ != 0) p_dot.mul_(made.slope());
    kernels::softmax_tangent(made.p, p_dot);
    at::Tensor o = out.narrow(0, start, count);
    at::bmm_out(o, p_dot, h.v);
    o.baddbmm_(made.p, dot.v);
  });
  return out;
}

Heads ScoreAttention::second_order(const Heads& inputs, const Heads& tangents, const at::Tensor& gradient,
                                   const at::Tensor& kept_gradient) const {
  const Heads all = inputs.empty_like();
  for_each_stretch([&](int64_t start, int64_t count) {
    const Heads h = inputs.stretch(start, count), dot = tangents.stretch(start, count);
    Heads into = all.stretch(start, count);
    const at::Tensor g = gradient.narrow(0, start, count), kept = kept_gradient.narrow(0, start, count);
    const Scores made = scores(h);
    const at::Tensor s_dot = scores_tangent(h, dot), slope = cap_ == 0 ? at::Tensor() : made.slope();
    const at::Tensor p_dot = cap_ == 0 ? s_dot : s_dot.mul(slope);
    const at::Tensor into_s_dot = at::bmm(kept, h.v.transpose(1, 2)), into_s = at::bmm(g, h.v.transpose(1, 2));
    into_s.baddbmm_(kept, dot.v.transpose(1, 2));
    kernels::softmax_backward(made.p, p_dot, into_s, into_s_dot);
    if (cap_ != 0) {
      into_s_dot.mul_(slope);
      into_s.mul_(slope).sub_(made.tanh.mul(s_dot).mul_(into_s_dot), 2 / cap_);
    }
    at::bmm_out(into.v, made.p.transpose(1, 2), g).baddbmm_(p_dot.transpose(1, 2), kept);
    product(into.q, into_s, h.k);
    into.q.baddbmm_(into_s_dot, dot.k, 1, scale_);
    product(into.k, into_s.transpose(1, 2), h.q);
    into.k.baddbmm_(into_s_dot.transpose(1, 2), dot.q, 1, scale_);
  });
  return all;
}

}  // namespace critical_sharpness
