#include <ATen/ops/add.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/zeros.h>

#include "dual.hpp"

namespace critical_sharpness::dual {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// tokens[ids] + positions, [batch, length, width]; undefined tensors are zeros.
at::Tensor rows(const at::Tensor& ids, const at::Tensor& tokens, const at::Tensor& positions, const at::Tensor& like) {
  at::Tensor out = tokens.defined() ? at::embedding(tokens, ids)
                                    : at::zeros({ids.size(0), ids.size(1), like.size(1)}, like.options());
  if (positions.defined()) out.add_(positions.narrow(0, 0, ids.size(1)));
  return out.reshape({ids.numel(), like.size(1)});
}

struct Embedding : torch::autograd::Function<Embedding> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& tokens, const at::Tensor& positions, const at::Tensor& ids,
                            const at::Tensor& tokens_tangent, const at::Tensor& positions_tangent) {
    ctx->save_for_backward({ids});
    ctx->saved_data["vocabulary"] = tokens.size(0);
    ctx->saved_data["context"] = positions.size(0);
    return at::cat({rows(ids, tokens, positions, tokens), rows(ids, tokens_tangent, positions_tangent, tokens)});
  }

  /// The embedding is linear in its weights: their gradient comes from the values alone.
  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    const at::Tensor ids = ctx->get_saved_variables()[0], g = values(gradients[0]).contiguous();
    at::Tensor tokens = at::zeros({ctx->saved_data["vocabulary"].toInt(), g.size(1)}, g.options());
    tokens.index_add_(0, ids.reshape(-1), g);
    at::Tensor positions = at::zeros({ctx->saved_data["context"].toInt(), g.size(1)}, g.options());
    positions.narrow(0, 0, ids.size(1)).copy_(g.view({ids.size(0), ids.size(1), g.size(1)}).sum(0));
    return {tokens, positions, {}, {}, {}};
  }
};

}  // namespace

at::Tensor embedding(const at::Tensor& ids, const Weight& tokens, const Weight& positions) {
  return Embedding::apply(tokens.value, positions.value, ids, tokens.tangent, positions.tangent);
}

}  // namespace critical_sharpness::dual
