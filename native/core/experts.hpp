#pragma once
#include <ATen/core/Tensor.h>

#include <vector>

namespace critical_sharpness {

/// How a mixture of experts (Shazeer et al. 2017) chooses: for each token those of the largest probability softmax(logits), which is
/// also what their outputs are weighted by.
struct Router {
  int64_t chosen = 1;       // experts of a token
  bool normalized = false;  // their weights are divided by their sum
};

struct Routing {
  at::Tensor weights;  // [tokens, chosen], in float32 or wider
  at::Tensor experts;  // [tokens, chosen], int64; a constant to derivatives, which are those at a fixed choice
};

/// Of logits [tokens, experts].
Routing route(const at::Tensor& logits, const Router& router);
/// The experts alone, of probabilities [tokens, experts].
at::Tensor choose(const at::Tensor& probabilities, const Router& router);

/// How many of the choices of one pass are other sets of experts in another, which chose for the same tokens in the same order.
struct ExpertChanges {
  int64_t changed = 0, of = 0;  // of each token in each layer with a mixture
};
ExpertChanges compare(const std::vector<at::Tensor>& experts, const std::vector<at::Tensor>& others);

/// The way of tokens to their experts and back: a row for each token and each of its experts, sorted by expert. Backwards it gathers as
/// well, so that no sum depends on the order in which threads come.
class Dispatch {
 public:
  /// `experts` [tokens, chosen], each below `count`. Waits for the device, for the host has to know how many rows each expert gets.
  Dispatch(const at::Tensor& experts, int64_t count);

  /// Rows of each expert; together tokens·chosen.
  const std::vector<int64_t>& counts() const { return counts_; }
  /// From rows of tokens [tokens, width] to sorted ones.
  at::Tensor rows_of(const at::Tensor& tokens) const;
  /// Σ over each token's experts of weight·row, of weights [tokens, chosen] and sorted rows; in the weights' precision.
  at::Tensor weighted_sum(const at::Tensor& weights, const at::Tensor& rows) const;
  /// The gradients of that sum in the rows, in its precision, and in the weights.
  at::Tensor gradient_in_rows(const at::Tensor& gradient, const at::Tensor& weights) const;
  at::Tensor gradient_in_weights(const at::Tensor& gradient, const at::Tensor& rows) const;

 private:
  int64_t chosen_;
  at::Tensor order_;   // of each sorted row, where it stands among tokens·chosen
  at::Tensor place_;   // the inverse
  at::Tensor tokens_;  // of each sorted row, its token
  std::vector<int64_t> counts_;
};

/// `weighted_sum` with its derivative, where one is wanted.
at::Tensor combine(const at::Tensor& weights, const at::Tensor& rows, const Dispatch& dispatch);

}  // namespace critical_sharpness
