#include <ATen/ops/add.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>

#include "curvature/views.hpp"
#include "network/feature_network.hpp"
#include "decoder_description.hpp"
#include "decoder_parameters.hpp"
#include "errors.hpp"
#include "language_head.hpp"
#include "rotary.hpp"

namespace critical_sharpness {
namespace {

/// x + scale·y, in x's own storage where no derivative is wanted.
at::Tensor add_residual(const at::Tensor& x, const at::Tensor& y, double scale) {
  return x.requires_grad() || y.requires_grad() ? at::add(x, y, scale) : at::Tensor(x).add_(y, scale);
}

/// What the layers share in a pass over sequences [batch, length].
struct Sequences {
  struct Kind {
    Attention how;
    RotaryTable rotary;
  };
  int64_t batch, length;
  std::vector<Kind> kinds;

  /// `stream`: of the residual stream.
  Sequences(const DecoderDescription& d, at::IntArrayRef shape, at::ScalarType compute_dtype, at::TensorOptions stream)
      : batch(shape[0]), length(shape[1]) {
    for (const auto& kind : d.attention_kinds) {
      Attention how{d.attention_scale, d.attention_cap, {}};
      if (kind.window > 0 && kind.window < length) how.mask = window_mask(length, kind.window, stream.dtype(compute_dtype));
      kinds.push_back({how, rotary_table(kind.frequencies, kind.rotary_scale, length, stream)});
    }
  }
};

/// One layer's pass. The residual stream stays in the parameters' precision; only what is multiplied is rounded to the
/// compute dtype.
class LayerPass {
 public:
  LayerPass(const DecoderDescription& d, ParameterView& view, const Sequences& sequences, std::shared_ptr<Balance> balance, size_t layer)
      : d_(d), view_(view), sequences_(sequences), balance_(std::move(balance)), layer_(layer) {}

  at::Tensor operator()(const at::Tensor& x, const DecoderLayer& p) const {
    const size_t kind = d_.layers[layer_];
    const at::Tensor in = norm(x, p.attention_norm);
    at::Tensor attended = norm(attention(in, p, sequences_.kinds[kind]), p.attention_post_norm);
    if (!d_.parallel) {
      const at::Tensor sum = add(x, attended);
      return add(sum, norm(mlp(norm(sum, p.mlp_norm), p), p.mlp_post_norm));
    }
    const at::Tensor inner = norm(mlp(p.mlp_norm ? norm(x, p.mlp_norm) : in, p), p.mlp_post_norm);
    return add(add(x, attended), inner);
  }

 private:
  using Kind = Sequences::Kind;
  struct QueryKeyValue {
    at::Tensor q, k, v;
  };

  at::Tensor add(const at::Tensor& x, const at::Tensor& y) const { return add_residual(x, y, d_.residual_scale); }
  at::Tensor norm(const at::Tensor& x, const std::optional<Norm>& norm) const { return norm ? view_.norm(x, *norm) : x; }
  at::Tensor project(const at::Tensor& x, const Projection& p) const {
    const at::Tensor y = view_.linear(x, p.weight, p.bias, d_.storage);
    if (!p.adapter) return y;
    return add_residual(y, view_.linear(view_.linear(x, p.adapter->down, {}), p.adapter->up, {}), p.adapter->scale);
  }
  /// Rows as [batch, length, heads, head_width].
  at::Tensor by_head(const at::Tensor& rows) const { return rows.view({sequences_.batch, sequences_.length, -1, d_.head_width}); }

  at::Tensor attention(const at::Tensor& x, const DecoderLayer& p, const Kind& kind) const {
    const auto [q, k, v] = p.query_key_value ? split(bounded(project(x, *p.query_key_value))) : separate(x, p);
    return project(view_.attention(rotate(q, kind.rotary), rotate(k, kind.rotary), v, kind.how), p.attention_output);
  }

  QueryKeyValue split(const at::Tensor& rows) const {
    const int64_t batch = sequences_.batch, length = sequences_.length, size = d_.head_width;
    const auto parts = d_.query_key_value_by_head ? rows.view({batch, length, d_.heads, 3, size}).unbind(3)
                                                  : rows.view({batch, length, 3, d_.heads, size}).unbind(2);
    return {parts[0], parts[1], parts[2]};
  }

  QueryKeyValue separate(const at::Tensor& x, const DecoderLayer& p) const {
    const at::Tensor in = x.to(view_.compute_dtype());
    const auto normed = [&](const at::Tensor& rows, const std::optional<Norm>& n) {
      return d_.query_key_norm == DecoderDescription::QueryKeyNorm::head ? norm(by_head(rows), n) : by_head(norm(rows, n));
    };
    return {bounded(normed(project(in, *p.query), p.query_norm)), bounded(normed(project(in, *p.key), p.key_norm)),
            by_head(bounded(project(in, *p.value)))};
  }

  at::Tensor bounded(const at::Tensor& rows) const {
    return d_.query_key_value_bound > 0 ? view_.clamp(rows, d_.query_key_value_bound) : rows;
  }

  at::Tensor mlp(const at::Tensor& x, const DecoderLayer& p) const {
    const at::Tensor in = x.to(view_.compute_dtype());
    return p.router ? mixture(in, p) : expert(in, p.experts.front());
  }

  at::Tensor expert(const at::Tensor& in, const DecoderMlp& p) const {
    const at::Tensor inner = p.gate ? view_.gate(project(in, *p.gate), project(in, p.up), d_.activation)
                                    : view_.activation(project(in, p.up), d_.activation);
    return project(inner, p.down);
  }

  at::Tensor mixture(const at::Tensor& in, const DecoderLayer& p) const {
    const Router router{d_.mixture->chosen, d_.mixture->normalized};
    at::Tensor logits = project(in, *p.router);
    if (balance_) logits = view_.balanced(logits, router, layer_, balance_);
    const Routing routing = view_.route(logits, router);
    const Dispatch dispatch(routing.experts, d_.mixture->experts);
    const auto parts = dispatch.rows_of(in).split_with_sizes(dispatch.counts());
    std::vector<at::Tensor> rows;
    for (size_t e = 0; e < parts.size(); e++)
      if (parts[e].size(0) > 0) rows.push_back(expert(parts[e], p.experts[e]));
    return view_.combine(routing.weights, at::cat(rows), dispatch);
  }

  const DecoderDescription& d_;
  ParameterView& view_;
  const Sequences& sequences_;
  std::shared_ptr<Balance> balance_;
  size_t layer_;
};

class Decoder final : public FeatureNetwork {
 public:
  explicit Decoder(DecoderDescription description)
      : d_(std::move(description)), p_(d_), head_{p_.head.weight, p_.head.bias, d_.vocabulary_size, d_.logit_cap} {}

  std::vector<ParameterSpec> parameters() const override { return p_.specs(); }
  std::vector<std::vector<size_t>> blocks() const override { return p_.blocks(); }
  // The auxiliary loss of a mixture is of all layers.
  bool is_resumable() const override { return !balance_of_pass(); }
  InitialValue initial_value(size_t parameter, const std::string& scheme) const override {
    return p_.initial_value(parameter, scheme);
  }

  void check(const Batch& batch) const override {
    if (batch.kind() != Batch::Kind::tokens)
      reject_type("Expected a batch of tokens for a language model but received a batch of examples");
    if (p_.positions && batch.inputs().size(1) > d_.positions)
      reject_range("Expected sequences of at most " + std::to_string(d_.positions) + " tokens for the batch but received " +
                   std::to_string(batch.inputs().size(1)));
    if (p_.positions && batch.relative_positions())
      reject_range("Expected sequences whose first token is at position 0, for this model's positions are learned, for the batch but "
                   "received padding on the left without position_ids, or others: save position_ids = "
                   "(attention_mask.cumsum(-1) - 1).clamp(min=0) with it, or pad on the right");
    const int64_t largest = std::max(batch.largest_input(), batch.largest_target());
    if (largest >= d_.vocabulary_size)
      reject_range("Expected token ids below " + std::to_string(d_.vocabulary_size) + " for the batch but received " +
                   std::to_string(largest));
  }

  int64_t numbers_held(const Batch& part) const override { return part.inputs().numel() * d_.width; }
  bool only_in_head(size_t parameter) const override {
    return parameter != p_.embedding && (parameter == p_.head.weight || parameter == p_.head.bias);
  }

  std::vector<at::Tensor> features(ParameterView& view, const std::vector<Batch>& parts,
                                   const Cancellation& cancel) const override {
    struct Stream {
      at::Tensor x;
      std::shared_ptr<const Sequences> sequences;
      std::shared_ptr<Balance> balance;
    };
    std::vector<Stream> streams;
    for (const auto& part : parts) {
      at::Tensor x = view.embed(part.inputs(), p_.embedding, p_.positions, d_.padding_token);
      if (d_.embedding_scale != 1) x = x.mul(d_.embedding_scale);
      const auto same = !streams.empty() && part.inputs().sizes() == parts.front().inputs().sizes();
      streams.push_back({x, same ? streams.front().sequences
                                 : std::make_shared<const Sequences>(d_, part.inputs().sizes(), view.compute_dtype(), x.options()),
                         balance_of_pass()});
      if (streams.back().balance) view.leave(part.inputs(), streams.back().balance);
    }
    for (size_t n = 0; n < p_.layers.size(); n++) {
      const ParameterView::Shared shared(view, parts.size());
      for (auto& stream : streams)
        stream.x = view.segment(stream.x, [this, sequences = stream.sequences, balance = stream.balance, n, cancel](
                                              ParameterView& through, const at::Tensor& in) {
          cancel.check();
          return LayerPass(d_, through, *sequences, balance, n)(in, p_.layers[n]);
        });
    }
    std::vector<at::Tensor> all;
    for (const auto& stream : streams) {
      const at::Tensor x = view.norm(stream.x, p_.final_norm);
      // A scale of the logits is one of what the head reads, which is far smaller.
      all.push_back(d_.logit_scale == 1 ? x : x.mul(d_.logit_scale));
    }
    return all;
  }

  at::Tensor head(ParameterView& view, const at::Tensor& features, const Batch& batch, HeadGradient* gradient,
                  const Cancellation& cancel) const override {
    const at::Tensor sum = head_.loss(view, features, batch, gradient, cancel);
    const auto balance = view.take(batch.inputs());
    if (!balance) return sum;
    const at::Tensor weight = balance_weight(batch);
    if (gradient) balance->scale = weight.mul(gradient->scale);
    return at::add(sum, balance->loss().mul_(weight));
  }
  at::Tensor head_tangent(curvature::TangentView& view, const at::Tensor& features, const at::Tensor& tangent,
                          const Batch& batch, HeadCurvature& curvature, const Cancellation& cancel) const override {
    const at::Tensor sum = head_.tangent(view, features, tangent, batch, curvature, cancel);
    const auto balance = view.take(batch.inputs());
    return balance ? at::add(sum, balance->tangent.mul(balance_weight(batch))) : sum;
  }

 private:
  std::shared_ptr<Balance> balance_of_pass() const {
    return d_.mixture && d_.mixture->balance > 0 ? std::make_shared<Balance>(d_.mixture->experts, p_.layers.size()) : nullptr;
  }
  /// The auxiliary loss's in the sum of a micro-batch's terms: it is a mean already. Several micro-batches each have their own, as where
  /// gradients are accumulated, by their share of what the loss is divided by.
  at::Tensor balance_weight(const Batch& batch) const {
    const auto options = batch.targets().options().dtype(at::kDouble);
    if (batch.objective()) return at::full({}, d_.mixture->balance * batch.objective()->normalizer(), options);
    return batch.targets().ne(Batch::ignored).sum().to(at::kDouble).mul_(d_.mixture->balance);
  }

  DecoderDescription d_;
  DecoderParameters p_;
  LanguageHead head_;
};

}  // namespace

std::unique_ptr<Network> make_decoder(DecoderDescription description) {
  return std::make_unique<Decoder>(std::move(description));
}

}  // namespace critical_sharpness
