#pragma once
#include <ATen/core/Tensor.h>

#include "attention.hpp"

namespace critical_sharpness {

/// Queries, keys and values of some heads, each [heads, length, size], contiguous.
struct Heads {
  at::Tensor q, k, v;
  Heads stretch(int64_t start, int64_t count) const {
    return {q.narrow(0, start, count), k.narrow(0, start, count), v.narrow(0, start, count)};
  }
  Heads empty_like() const;
};

/// O = PV with P = softmax(S + mask), S = scale·QKᵀ or capped, and its derivatives. Scores are made again for every use, a
/// stretch of heads at a time. As many heads of keys and values as of queries.
class ScoreAttention {
 public:
  /// `like`: queries [batch, length, heads, size].
  ScoreAttention(const Attention& attention, const at::Tensor& like);

  at::Tensor output(const Heads& inputs) const;
  /// From the gradient in O.
  Heads gradient(const Heads& inputs, const at::Tensor& gradient) const;
  /// Ȯ = ṖV + PV̇
  at::Tensor tangent(const Heads& inputs, const Heads& tangents) const;
  /// From the gradients in O and (`kept`) in Ȯ, through which the tangents move the loss's gradient in Q, K and V.
  Heads second_order(const Heads& inputs, const Heads& tangents, const at::Tensor& gradient, const at::Tensor& kept) const;

  /// [batch, length, heads, size], or rows of it, as [batch·heads, length, size]; and back.
  at::Tensor to_heads(const at::Tensor& x) const;
  at::Tensor to_inputs(const at::Tensor& heads) const;
  at::Tensor to_rows(const at::Tensor& heads) const;

 private:
  struct Scores;
  template <class Body>
  void for_each_stretch(const Body& body) const;
  Scores scores(const Heads& h) const;
  at::Tensor scores_tangent(const Heads& h, const Heads& dot) const;
  void product(at::Tensor& out, const at::Tensor& a, const at::Tensor& b) const;

  int64_t batch_, length_, heads_, size_;
  double scale_, cap_;
  at::Tensor mask_;
};

}  // namespace critical_sharpness
