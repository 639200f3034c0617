#include "operation.hpp"
#include "score_attention.hpp"

namespace critical_sharpness::curvature {
namespace {

class Attend final : public Operation {
 public:
  explicit Attend(const Attention& attention) : Operation({}), attention_(attention) {}

  at::Tensor output(const Weights&, const Tensors& inputs) override {
    scores_.emplace(attention_, inputs[0]);
    inputs_ = heads_of(inputs);
    return scores_->to_rows(scores_->output(inputs_));
  }
  Tensors keep_gradient(const Weights&, const at::Tensor& gradient) override {
    gradient_ = scores_->to_heads(gradient);
    return back(scores_->gradient(inputs_, gradient_));
  }
  Tangent tangent(const Weights&, const Tensors& inputs) const override {
    const Heads tangents = heads_of(inputs);
    return {scores_->to_rows(scores_->tangent(inputs_, tangents)), {tangents.q, tangents.k, tangents.v}};
  }
  Gradients differentiate(const Weights&, const Memory& memory, const at::Tensor& gradient) const override {
    const at::Tensor g = scores_->to_heads(gradient);
    if (!gradient_.defined()) return {back(scores_->gradient(inputs_, g)), {}};
    return {back(scores_->second_order(inputs_, {memory[0], memory[1], memory[2]}, g, gradient_)), {}};
  }
  int64_t byte_length() const override { return bytes_of({inputs_.q, inputs_.k, inputs_.v, gradient_}); }

 private:
  Heads heads_of(const Tensors& inputs) const {
    return {scores_->to_heads(inputs[0]), scores_->to_heads(inputs[1]), scores_->to_heads(inputs[2])};
  }
  Tensors back(const Heads& into) const {
    return {scores_->to_inputs(into.q), scores_->to_inputs(into.k), scores_->to_inputs(into.v)};
  }

  Attention attention_;
  std::optional<ScoreAttention> scores_;
  Heads inputs_;
  at::Tensor gradient_;
};

}  // namespace

std::unique_ptr<Operation> attention(const Attention& attention) { return std::make_unique<Attend>(attention); }

}  // namespace critical_sharpness::curvature
