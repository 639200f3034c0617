#include <ATen/ops/embedding.h>
#include <ATen/ops/eq.h>
#include <ATen/ops/masked_fill.h>
#include <ATen/ops/zeros.h>

#include "operation.hpp"

namespace critical_sharpness::curvature {
namespace {

std::vector<size_t> parameters_of(size_t tokens, std::optional<size_t> positions) {
  return positions ? std::vector{tokens, *positions} : std::vector{tokens};
}

/// It is linear in its weights. PyTorch's double backward of an embedding with padding_idx leaves the padding's row out of both
/// passes, so that the Hessian is that of a loss in which this row is a constant: symmetric.
class Embedding final : public Operation {
 public:
  Embedding(size_t tokens, std::optional<size_t> positions, int64_t padding)
      : Operation(parameters_of(tokens, positions)), tokens_(tokens), positions_(positions), padding_(padding) {}

  at::Tensor output(const Weights& weights, const Tensors& inputs) override {
    ids_ = inputs[0];
    tokens_like_ = weights.value(tokens_);
    if (positions_) positions_like_ = weights.value(*positions_);
    return rows(gather(tokens_like_), positions_like_);
  }
  Tensors keep_gradient(const Weights&, const at::Tensor&) override { return {at::Tensor()}; }
  Tangent tangent(const Weights& weights, const Tensors&) const override {
    at::Tensor tokens = gather(weights.tangent(tokens_));
    if (padding_ >= 0) tokens.masked_fill_(ids_.eq(padding_).unsqueeze(-1), 0);
    return {rows(tokens, positions_ ? weights.tangent(*positions_) : at::Tensor()), {}};
  }
  Gradients differentiate(const Weights&, const Memory&, const at::Tensor& gradient) const override {
    at::Tensor tokens = at::zeros(tokens_like_.sizes(), gradient.options());
    tokens.index_add_(0, ids_.reshape(-1), gradient);
    if (padding_ >= 0) tokens.select(0, padding_).zero_();
    if (!positions_) return {{at::Tensor()}, {tokens}};
    at::Tensor positions = at::zeros(positions_like_.sizes(), gradient.options());
    positions.narrow(0, 0, ids_.size(1)).copy_(gradient.view({ids_.size(0), ids_.size(1), gradient.size(1)}).sum(0));
    return {{at::Tensor()}, {tokens, positions}};
  }
  int64_t byte_length() const override { return 0; }

 private:
  // Undefined tensors are zeros.

  at::Tensor gather(const at::Tensor& tokens) const {
    return tokens.defined() ? at::embedding(tokens, ids_)
                            : at::zeros({ids_.size(0), ids_.size(1), tokens_like_.size(1)}, tokens_like_.options());
  }
  at::Tensor rows(at::Tensor tokens, const at::Tensor& positions) const {
    if (positions.defined()) tokens.add_(positions.narrow(0, 0, ids_.size(1)));
    return tokens.reshape({ids_.numel(), tokens.size(2)});
  }

  size_t tokens_;
  std::optional<size_t> positions_;
  int64_t padding_;
  at::Tensor ids_, tokens_like_, positions_like_;
};

}  // namespace

std::unique_ptr<Operation> embedding(size_t tokens, std::optional<size_t> positions, int64_t padding) {
  return std::make_unique<Embedding>(tokens, positions, padding);
}

}  // namespace critical_sharpness::curvature
