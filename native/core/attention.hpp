#pragma once
#include <ATen/core/Tensor.h>

namespace critical_sharpness {

/// How the queries of a sequence see its keys. Each sees itself and what came before, unless a mask says which.
struct Attention {
  double scale = 1;  // of a query's product with a key
  double cap = 0;    // a score s is cap·tanh(s/cap) (Gemma Team 2024); 0: it is s
  at::Tensor mask;   // [length, length] of 0 and −∞, to be added to the scores; undefined: causal
};

/// 0 where a query may see a key: itself and the `window` − 1 before it; else −∞.
at::Tensor window_mask(int64_t length, int64_t window, at::TensorOptions options);

/// x [batch, length, few, size], each head as often as it takes for `heads` of them.
at::Tensor repeat_heads(const at::Tensor& x, int64_t heads);

/// Rows [batch·length, heads·size] of queries [batch, length, heads, size], keys and values [batch, length, fewer, size],
/// whose heads serve a group of queries each (Ainslie et al. 2023). By the flash kernel, where scores are not capped.
at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Attention& attention);

}  // namespace critical_sharpness
