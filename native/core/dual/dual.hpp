#pragma once
#include <ATen/core/Tensor.h>

#include <optional>

#include "activation.hpp"

// Dual numbers: a value with its derivative along a direction of the weights. Rows of activations are held as one tensor
// [2n, features]: n rows of values, then the n rows of their tangents. A tensor that needs no gradient is a constant, has
// no tangent and is not doubled.
//
// Every operation here is one node of autograd's graph. Differentiating the tangent of the loss through them gives the
// product Hv with the weights' gradient never computed: eight matrix products a layer where differentiating twice
// backwards takes nine, and one node where that takes dozens.
//
// `gauss_newton`: backwards, what flows into the tangents is zero, and the products with it are left out.

namespace critical_sharpness::dual {

inline at::Tensor values(const at::Tensor& x) { return x.narrow(0, 0, x.size(0) / 2); }
inline at::Tensor tangents(const at::Tensor& x) { return x.narrow(0, x.size(0) / 2, x.size(0) / 2); }

/// A weight and its tangent, which is undefined where it is zero.
struct Weight {
  at::Tensor value, tangent;
};

/// x·W + b, or x·Wᵀ + b where `transposed`.
at::Tensor linear(const at::Tensor& x, const Weight& weight, const std::optional<Weight>& bias, bool transposed,
                  bool gauss_newton);
at::Tensor layer_norm(const at::Tensor& x, const Weight& weight, const Weight& bias, double epsilon);
at::Tensor activation(const at::Tensor& x, Activation kind);
/// Causal self-attention of rows [2·batch·length, 3·width] that hold queries, keys and values.
at::Tensor attention(const at::Tensor& qkv, int64_t batch, int64_t length, int64_t heads, bool gauss_newton);
/// Rows [2·ids, width]: tokens[ids] + positions[0 … length).
at::Tensor embedding(const at::Tensor& ids, const Weight& tokens, const Weight& positions);

}  // namespace critical_sharpness::dual
