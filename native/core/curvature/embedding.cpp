#include <ATen/ops/embedding.h>
#include <ATen/ops/zeros.h>

#include "operation.hpp"

namespace critical_sharpness::curvature {
namespace {

std::vector<size_t> parameters_of(size_t tokens, std::optional<size_t> positions) {
  return positions ? std::vector{tokens, *positions} : std::vector{tokens};
}

/// It is linear in its weights.
class Embedding final : public Operation {
 public:
  Embedding(size_t tokens, std::optional<size_t> positions)
      : Operation(parameters_of(tokens, positions)), tokens_(tokens), positions_(positions) {}

  at::Tensor output(const Weights& weights, const Tensors& inputs) override {
    ids_ = inputs[0];
    tokens_like_ = weights.value(tokens_);
    if (positions_) positions_like_ = weights.value(*positions_);
    return rows(tokens_like_, positions_like_);
  }
  Tensors keep_gradient(const Weights&, const at::Tensor&) override { return {at::Tensor()}; }
  Tangent tangent(const Weights& weights, const Tensors&) const override {
    return {rows(weights.tangent(tokens_), positions_ ? weights.tangent(*positions_) : at::Tensor()), {}};
  }
  Gradients differentiate(const Weights&, const Memory&, const at::Tensor& gradient) const override {
    at::Tensor tokens = at::zeros(tokens_like_.sizes(), gradient.options());
    tokens.index_add_(0, ids_.reshape(-1), gradient);
    if (!positions_) return {{at::Tensor()}, {tokens}};
    at::Tensor positions = at::zeros(positions_like_.sizes(), gradient.options());
    positions.narrow(0, 0, ids_.size(1)).copy_(gradient.view({ids_.size(0), ids_.size(1), gradient.size(1)}).sum(0));
    return {{at::Tensor()}, {tokens, positions}};
  }
  int64_t byte_length() const override { return 0; }

 private:
  /// Undefined tensors are zeros.
  at::Tensor rows(const at::Tensor& tokens, const at::Tensor& positions) const {
    const int64_t width = tokens_like_.size(1);
    at::Tensor out = tokens.defined() ? at::embedding(tokens, ids_)
                                      : at::zeros({ids_.size(0), ids_.size(1), width}, tokens_like_.options());
    if (positions.defined()) out.add_(positions.narrow(0, 0, ids_.size(1)));
    return out.reshape({ids_.numel(), width});
  }

  size_t tokens_;
  std::optional<size_t> positions_;
  at::Tensor ids_, tokens_like_, positions_like_;
};

}  // namespace

std::unique_ptr<Operation> embedding(size_t tokens, std::optional<size_t> positions) {
  return std::make_unique<Embedding>(tokens, positions);
}

}  // namespace critical_sharpness::curvature
