#include <ATen/ops/_softmax.h>
#include <ATen/ops/baddbmm.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>

#include <cmath>
#include <limits>

#include "kernels/softmax.hpp"
#include "operation.hpp"

namespace critical_sharpness::curvature {
namespace {

/// Scores that one matrix of a stretch of heads may hold: 2 MiB of float32, so that the handful of matrices of a stretch
/// stay in cache.
constexpr int64_t scores_at_once = 1 << 19;

/// Queries, keys and values of some heads, each [heads, length, size].
struct Heads {
  at::Tensor q, k, v;
  /// Of a tensor [3, heads, length, size].
  Heads(const at::Tensor& all, int64_t start, int64_t count)
      : q(all[0].narrow(0, start, count)), k(all[1].narrow(0, start, count)), v(all[2].narrow(0, start, count)) {}
};

/// Scores are made again for every use, a stretch of heads at a time: only queries, keys and values are kept.
class Attention final : public Operation {
 public:
  Attention(int64_t batch, int64_t length, int64_t heads) : Operation({}), batch_(batch), length_(length), heads_(heads) {}

  /// O = PV with P = softmax(S), S = scale·QKᵀ.
  at::Tensor output(const Weights&, const at::Tensor& input) override {
    size_ = input.size(1) / (3 * heads_);
    scale_ = 1 / std::sqrt(static_cast<double>(size_));
    qkv_ = to_heads(input, 3);
    mask_ = at::full({length_, length_}, -std::numeric_limits<double>::infinity(), input.options()).triu_(1);
    at::Tensor out = at::empty({1, batch_ * heads_, length_, size_}, input.options());
    for_each_stretch([&](int64_t start, int64_t count) {
      const Heads h(qkv_, start, count);
      at::Tensor o = out[0].narrow(0, start, count);
      at::bmm_out(o, probabilities(h), h.v);
    });
    return to_rows(out);
  }

  at::Tensor keep_gradient(const Weights&, const at::Tensor& gradient) override {
    gradient_ = to_heads(gradient, 1)[0];
    return first_order(gradient_);
  }

  /// Ȯ = ṖV + PV̇
  Tangent tangent(const Weights&, const at::Tensor& input) const override {
    const at::Tensor tangents = to_heads(input, 3), out = at::empty({1, batch_ * heads_, length_, size_}, input.options());
    for_each_stretch([&](int64_t start, int64_t count) {
      const Heads h(qkv_, start, count), dot(tangents, start, count);
      const at::Tensor p = probabilities(h), p_dot = scores_tangent(h, dot);
      kernels::softmax_tangent(p, p_dot);
      at::Tensor o = out[0].narrow(0, start, count);
      at::bmm_out(o, p_dot, h.v);
      o.baddbmm_(p, dot.v);
    });
    return {to_rows(out), {tangents}};
  }

  Gradients differentiate(const Weights&, const Memory& memory, const at::Tensor& gradient) const override {
    const at::Tensor g = to_heads(gradient, 1)[0];
    if (!gradient_.defined()) return {first_order(g), {}};
    const at::Tensor into = at::empty(qkv_.sizes(), qkv_.options());
    for_each_stretch([&](int64_t start, int64_t count) {
      second_order(Heads(qkv_, start, count), Heads(memory[0], start, count), g.narrow(0, start, count),
                   gradient_.narrow(0, start, count), Heads(into, start, count));
    });
    return {to_rows(into), {}};
  }

  int64_t byte_length() const override { return bytes_of({qkv_, mask_, gradient_}); }

 private:
  /// Calls body(first, how many) for stretches of heads.
  template <class Body>
  void for_each_stretch(const Body& body) const {
    const int64_t all = batch_ * heads_, at_once = std::max<int64_t>(1, scores_at_once / (length_ * length_));
    for (int64_t start = 0; start < all; start += at_once) body(start, std::min(at_once, all - start));
  }

  /// Rows [batch·length, parts·width] as [parts, batch·heads, length, size], and back.
  at::Tensor to_heads(const at::Tensor& rows, int64_t parts) const {
    return rows.reshape({batch_, length_, parts, heads_, size_})
        .permute({2, 0, 3, 1, 4})
        .reshape({parts, batch_ * heads_, length_, size_})
        .contiguous();
  }
  at::Tensor to_rows(const at::Tensor& heads) const {
    const int64_t parts = heads.size(0);
    return heads.view({parts, batch_, heads_, length_, size_})
        .permute({1, 3, 0, 2, 4})
        .reshape({batch_ * length_, parts * heads_ * size_});
  }

  at::Tensor probabilities(const Heads& h) const {
    return at::_softmax(at::baddbmm(mask_, h.q, h.k.transpose(1, 2), 1, scale_), -1, false);
  }
  /// Ṡ = scale·(Q̇Kᵀ + QK̇ᵀ)
  at::Tensor scores_tangent(const Heads& h, const Heads& dot) const {
    at::Tensor tangent = at::bmm(dot.q, h.k.transpose(1, 2));
    return tangent.baddbmm_(h.q, dot.k.transpose(1, 2), scale_, scale_);
  }

  /// out ← scale·a·b
  void product(at::Tensor& out, const at::Tensor& a, const at::Tensor& b) const { at::baddbmm_out(out, out, a, b, 0, scale_); }

  at::Tensor first_order(const at::Tensor& gradient) const {
    const at::Tensor all = at::empty(qkv_.sizes(), qkv_.options());
    for_each_stretch([&](int64_t start, int64_t count) {
      const Heads h(qkv_, start, count);
      Heads into(all, start, count);
      const at::Tensor g = gradient.narrow(0, start, count), p = probabilities(h);
      const at::Tensor into_scores = at::bmm(g, h.v.transpose(1, 2));
      kernels::softmax_tangent(p, into_scores);  // the softmax's Jacobian is symmetric
      at::bmm_out(into.v, p.transpose(1, 2), g);
      product(into.q, into_scores, h.k);
      product(into.k, into_scores.transpose(1, 2), h.q);
    });
    return to_rows(all);
  }

  /// g: into O. kept: the loss's own gradient in O, through which the tangents move the loss's gradient in Q, K and V.
  void second_order(const Heads& h, const Heads& dot, const at::Tensor& g, const at::Tensor& kept, Heads into) const {
    const at::Tensor p = probabilities(h), p_dot = scores_tangent(h, dot);
    const at::Tensor into_p_dot = at::bmm(kept, h.v.transpose(1, 2)), into_p = at::bmm(g, h.v.transpose(1, 2));
    into_p.baddbmm_(kept, dot.v.transpose(1, 2));
    kernels::softmax_backward(p, p_dot, into_p, into_p_dot);
    at::bmm_out(into.v, p.transpose(1, 2), g).baddbmm_(p_dot.transpose(1, 2), kept);
    product(into.q, into_p, h.k);
    into.q.baddbmm_(into_p_dot, dot.k, 1, scale_);
    product(into.k, into_p.transpose(1, 2), h.q);
    into.k.baddbmm_(into_p_dot.transpose(1, 2), dot.q, 1, scale_);
  }

  int64_t batch_, length_, heads_, size_ = 0;
  double scale_ = 1;
  at::Tensor qkv_, mask_, gradient_;
};

}  // namespace

std::unique_ptr<Operation> attention(int64_t batch, int64_t length, int64_t heads) {
  return std::make_unique<Attention>(batch, length, heads);
}

}  // namespace critical_sharpness::curvature
