#include <ATen/core/grad_mode.h>
#include <ATen/ops/_softmax.h>
#include <ATen/ops/baddbmm.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>

#include <cmath>
#include <limits>

#include "dual.hpp"
#include "kernels/dual_softmax.hpp"
#include "record.hpp"

namespace critical_sharpness::dual {
namespace {

/// Scores that one matrix of a stretch of heads may hold: 2 MiB of float32, so that the handful of matrices of a stretch
/// stay in cache.
constexpr int64_t scores_at_once = 1 << 19;

/// Queries, keys and values (and their tangents) of some heads, each [heads, length, size].
struct Heads {
  at::Tensor q, k, v, q_dot, k_dot, v_dot;
};

/// Probabilities [heads, length, length], and the tangents of the scores that they are the softmax of.
struct Scores {
  at::Tensor p, tangent;
};

struct Shape {
  int64_t batch, length, heads, size;
  int64_t count() const { return batch * heads; }
  int64_t at_once() const { return std::max<int64_t>(1, scores_at_once / (length * length)); }
  double scale() const { return 1 / std::sqrt(static_cast<double>(size)); }
};

/// Calls body(first, how many) for stretches of heads.
template <class Body>
void for_each_stretch(const Shape& shape, const Body& body) {
  for (int64_t start = 0; start < shape.count(); start += shape.at_once())
    body(start, std::min(shape.at_once(), shape.count() - start));
}

/// qkv: [3, 2, batch·heads, length, size].
Heads heads_of(const at::Tensor& qkv, int64_t start, int64_t count) {
  const auto part = [&](int64_t which, int64_t half) { return qkv[which][half].narrow(0, start, count); };
  return {part(0, 0), part(1, 0), part(2, 0), part(0, 1), part(1, 1), part(2, 1)};
}

at::Tensor causal_mask(const Shape& shape, const at::TensorOptions& options) {
  return at::full({shape.length, shape.length}, -std::numeric_limits<double>::infinity(), options).triu_(1);
}

Scores scores(const Heads& h, const at::Tensor& mask, double scale, bool with_tangent) {
  Scores s;
  const at::Tensor keys = h.k.transpose(1, 2);
  s.p = at::_softmax(at::baddbmm(mask, h.q, keys, 1, scale), -1, false);
  if (!with_tangent) return s;
  s.tangent = at::bmm(h.q_dot, keys);
  s.tangent.baddbmm_(h.q, h.k_dot.transpose(1, 2), scale, scale);
  return s;
}

/// Rows [2·batch·length, parts·width] as [parts, 2, batch·heads, length, size].
at::Tensor to_heads(const at::Tensor& rows, const Shape& s, int64_t parts) {
  return rows.view({2, s.batch, s.length, parts, s.heads, s.size})
      .permute({3, 0, 1, 4, 2, 5})
      .reshape({parts, 2, s.count(), s.length, s.size});
}
at::Tensor to_rows(const at::Tensor& heads, const Shape& s, int64_t parts) {
  return heads.view({parts, 2, s.batch, s.heads, s.length, s.size})
      .permute({1, 2, 4, 0, 3, 5})
      .reshape({2 * s.batch * s.length, parts * s.heads * s.size});
}

at::Tensor forward(const at::Tensor& qkv, const at::Tensor& mask, const Shape& shape) {
  const at::Tensor out = at::empty({2, shape.count(), shape.length, shape.size}, qkv.options());
  for_each_stretch(shape, [&](int64_t start, int64_t count) {
    const Heads h = heads_of(qkv, start, count);
    const Scores s = scores(h, mask, shape.scale(), true);
    kernels::softmax_tangent(s.p, s.tangent);
    at::Tensor o = out[0].narrow(0, start, count), o_dot = out[1].narrow(0, start, count);
    at::bmm_out(o, s.p, h.v);
    at::bmm_out(o_dot, s.tangent, h.v);
    o_dot.baddbmm_(s.p, h.v_dot);
  });
  return out;
}

/// out ← scale·a·b
void product(at::Tensor& out, const at::Tensor& a, const at::Tensor& b, double scale) {
  at::baddbmm_out(out, out, a, b, 0, scale);
}

/// Of o = PV and ȯ = ṖV + PV̇, where P = softmax(S), S = scale·QKᵀ.
void second_order(const Heads& h, const at::Tensor& g, const at::Tensor& g_dot, const at::Tensor& mask, double scale,
                  Heads into) {
  const Scores s = scores(h, mask, scale, true);
  const at::Tensor values = h.v.transpose(1, 2), into_tangent = at::bmm(g_dot, values), into_p = at::bmm(g, values);
  into_p.baddbmm_(g_dot, h.v_dot.transpose(1, 2));
  kernels::softmax_backward(s.p, s.tangent, into_p, into_tangent);
  const at::Tensor p = s.p.transpose(1, 2), p_dot = s.tangent.transpose(1, 2);
  at::bmm_out(into.v, p, g).baddbmm_(p_dot, g_dot);
  at::bmm_out(into.v_dot, p, g_dot);
  product(into.q_dot, into_tangent, h.k, scale);
  product(into.k_dot, into_tangent.transpose(1, 2), h.q, scale);
  product(into.q, into_p, h.k, scale);
  into.q.baddbmm_(into_tangent, h.k_dot, 1, scale);
  product(into.k, into_p.transpose(1, 2), h.q, scale);
  into.k.baddbmm_(into_tangent.transpose(1, 2), h.q_dot, 1, scale);
}

void first_order(const Heads& h, const at::Tensor& g, const at::Tensor&, const at::Tensor& mask, double scale, Heads into) {
  const at::Tensor p = scores(h, mask, scale, false).p, into_scores = at::bmm(g, h.v.transpose(1, 2));
  kernels::softmax_tangent(p, into_scores);  // the softmax's Jacobian is symmetric
  at::bmm_out(into.v, p.transpose(1, 2), g);
  product(into.q, into_scores, h.k, scale);
  product(into.k, into_scores.transpose(1, 2), h.q, scale);
}

}  // namespace

/// Scores are made again backwards, a stretch of heads at a time: only queries, keys and values are kept.
at::Tensor attention(const at::Tensor& qkv, int64_t batch, int64_t length, int64_t heads, bool gauss_newton) {
  const at::NoGradGuard no_gradient;
  const Shape shape{batch, length, heads, qkv.size(1) / (3 * heads)};
  const at::Tensor parts = to_heads(qkv.detach(), shape, 3), mask = causal_mask(shape, qkv.options());
  return record({qkv}, to_rows(forward(parts, mask, shape), shape, 1), [=](const at::Tensor& gradient) {
    const at::Tensor g = to_heads(gradient, shape, 1)[0];
    const at::Tensor into = gauss_newton ? at::zeros(parts.sizes(), g.options()) : at::empty(parts.sizes(), g.options());
    for_each_stretch(shape, [&](int64_t start, int64_t count) {
      const auto differentiate = gauss_newton ? first_order : second_order;
      differentiate(heads_of(parts, start, count), g[0].narrow(0, start, count), g[1].narrow(0, start, count), mask,
                    shape.scale(), heads_of(into, start, count));
    });
    return std::vector<at::Tensor>{to_rows(into, shape, 3)};
  });
}

}  // namespace critical_sharpness::dual
