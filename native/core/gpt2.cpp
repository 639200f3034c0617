#include <ATen/ops/_softmax.h>
#include <ATen/ops/add.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/empty_like.h>

#include <cmath>

#include "architecture.hpp"
#include "curvature/views.hpp"
#include "errors.hpp"
#include "kernels/softmax.hpp"
#include "loss_heads.hpp"

namespace critical_sharpness {
namespace {

using Storage = ParameterView::Storage;

/// Logits that are held at once: 32 MiB of float32.
constexpr int64_t logits_at_once = 1 << 23;

/// x + y, in x's own storage where no derivative is wanted.
at::Tensor add_residual(const at::Tensor& x, const at::Tensor& y) {
  return x.requires_grad() || y.requires_grad() ? at::add(x, y) : at::Tensor(x).add_(y);
}

/// GPT-2 (Radford et al. 2019) as Hugging Face stores it: pre-LN blocks, learned positions, Conv1D weights [in, out].
/// The residual stream stays in the parameters' precision; only what is multiplied is rounded to the compute dtype.
class Gpt2 final : public Architecture {
 public:
  explicit Gpt2(Gpt2Description description) : d_(description) {}

  std::vector<ParameterSpec> parameters() const override {
    const int64_t width = d_.width, inner = d_.inner_width;
    std::vector<ParameterSpec> specs{{"transformer.wte.weight", {d_.vocabulary_size, width}},
                                     {"transformer.wpe.weight", {d_.context_length, width}}};
    for (int64_t n = 0; n < d_.layers; n++) {
      const std::string block = "transformer.h." + std::to_string(n) + ".";
      auto affine = [&](const char* name, std::vector<int64_t> weight) {
        const int64_t outputs = weight.back();
        specs.push_back({block + name + ".weight", std::move(weight)});
        specs.push_back({block + name + ".bias", {outputs}});
      };
      affine("ln_1", {width});
      affine("attn.c_attn", {width, 3 * width});
      affine("attn.c_proj", {width, width});
      affine("ln_2", {width});
      affine("mlp.c_fc", {width, inner});
      affine("mlp.c_proj", {inner, width});
    }
    specs.push_back({"transformer.ln_f.weight", {width}});
    specs.push_back({"transformer.ln_f.bias", {width}});
    if (!d_.tied) specs.push_back({"lm_head.weight", {d_.vocabulary_size, width}});
    return specs;
  }

  /// N(0, 0.02²), projections into the residual stream divided by √(2·layers), biases 0, norms 1.
  InitialValue initial_value(size_t parameter, const std::string& scheme) const override {
    using Kind = InitialValue::Kind;
    if (scheme != "gpt2")
      reject_range("Expected initialization \"gpt2\" or \"zeros\" for a model of type gpt2 but received \"" + scheme + "\"");
    constexpr double deviation = 0.02;
    if (parameter < block(0)) return {Kind::normal, deviation};
    if (parameter >= final_norm()) return parameter == head_weight() ? InitialValue{Kind::normal, deviation} : norm_value(parameter - final_norm());
    switch (const size_t within = (parameter - block(0)) % parameters_per_block; within) {
      case norm1: case norm1 + 1: return norm_value(within - norm1);
      case norm2: case norm2 + 1: return norm_value(within - norm2);
      case qkv: case up: return {Kind::normal, deviation};
      case attention_out: case down: return {Kind::normal, deviation / std::sqrt(2.0 * static_cast<double>(d_.layers))};
      default: return {};
    }
  }

  void check(const Batch& batch) const override {
    if (batch.kind() != Batch::Kind::tokens)
      reject_type("Expected a batch of tokens for a model of type gpt2 but received a batch of examples");
    if (batch.inputs().size(1) > d_.context_length)
      reject_range("Expected sequences of at most " + std::to_string(d_.context_length) + " tokens for the batch but received " +
                   std::to_string(batch.inputs().size(1)));
    const int64_t largest = std::max(batch.largest_input(), batch.largest_target());
    if (largest >= d_.vocabulary_size)
      reject_range("Expected token ids below " + std::to_string(d_.vocabulary_size) + " for the batch but received " +
                   std::to_string(largest));
  }

  double normalizer(const Batch& batch) const override { return static_cast<double>(batch.count()); }

  at::Tensor features(ParameterView& view, const Batch& batch, const Cancellation& cancel) const override {
    const at::Tensor& ids = batch.inputs();
    at::Tensor x = view.embed(ids, wte, wpe);
    for (int64_t n = 0; n < d_.layers; n++) {
      cancel.check();
      const size_t p = block(n);
      const at::Tensor normed = view.layer_norm(x, p + norm1, p + norm1 + 1, d_.norm_epsilon);
      const at::Tensor attended = view.attention(view.linear(normed, p + qkv, p + qkv + 1, Storage::in_out), ids.size(0), ids.size(1), d_.heads);
      x = add_residual(x, view.linear(attended, p + attention_out, p + attention_out + 1, Storage::in_out));
      const at::Tensor inner = view.linear(view.layer_norm(x, p + norm2, p + norm2 + 1, d_.norm_epsilon), p + up, p + up + 1, Storage::in_out);
      x = add_residual(x, view.linear(view.activation(inner, d_.activation), p + down, p + down + 1, Storage::in_out));
    }
    return view.layer_norm(x, final_norm(), final_norm() + 1, d_.norm_epsilon);
  }

  /// The logits of a chunk of tokens at a time, so that [tokens, vocabulary] is never held whole.
  double head(ParameterView& view, const at::Tensor& features, const Batch& batch, HeadGradient* gradient,
              const Cancellation& cancel) const override {
    const at::Tensor weight = view.value(head_weight(), view.compute_dtype());
    const at::Tensor targets = batch.targets().reshape({-1});
    const int64_t rows = features.size(0), chunk = std::max<int64_t>(128, logits_at_once / d_.vocabulary_size);
    if (gradient) gradient->features = at::empty_like(features);
    double sum = 0;
    for (int64_t start = 0; start < rows; start += chunk) {
      cancel.check();
      const int64_t n = std::min(chunk, rows - start);
      const at::Tensor x = features.narrow(0, start, n), target = targets.narrow(0, start, n);
      const at::Tensor logits = at::mm(x, weight.t());
      at::Tensor d;
      sum += cross_entropy_sum(logits, target, gradient ? gradient->scale : 0, gradient ? &d : nullptr);
      if (!gradient) continue;
      d = d.to(features.scalar_type());
      at::Tensor into = gradient->features.narrow(0, start, n);
      at::mm_out(into, d, weight);
      if (gradient->add) gradient->add(head_weight(), at::mm(d.t(), x));
    }
    return sum;
  }

  /// As `head`, of z = xWᵀ and ż = ẋWᵀ + xẆᵀ.
  double head_tangent(curvature::TangentView& view, const at::Tensor& features, const at::Tensor& tangent, const Batch& batch,
                      HeadCurvature& curvature, const Cancellation& cancel) const override {
    const at::Tensor weight = view.value(head_weight(), view.compute_dtype()), &weight_tangent = view.tangent(head_weight());
    const at::Tensor targets = batch.targets().reshape({-1});
    const int64_t rows = features.size(0), chunk = std::max<int64_t>(128, logits_at_once / 2 / d_.vocabulary_size);
    curvature.features = at::empty_like(features);
    double sum = 0;
    for (int64_t start = 0; start < rows; start += chunk) {
      cancel.check();
      const auto part = [&](const at::Tensor& all) { return all.narrow(0, start, std::min(chunk, rows - start)); };
      const at::Tensor x = part(features), x_tangent = part(tangent), p = at::_softmax(at::mm(x, weight.t()), 1, false);
      at::Tensor z_tangent = at::mm(x_tangent, weight.t());
      if (weight_tangent.defined()) z_tangent.addmm_(x, weight_tangent.t());
      sum += kernels::cross_entropy_curvature(p, z_tangent, part(targets), curvature.scale);
      // Now p is the loss's gradient in z, and z_tangent the gradient of the loss's tangent.
      at::Tensor into = part(curvature.features), into_weight = at::mm(z_tangent.t(), x);
      at::mm_out(into, z_tangent, weight);
      if (!curvature.gauss_newton) {
        if (weight_tangent.defined()) into.addmm_(p, weight_tangent);
        into_weight.addmm_(p.t(), x_tangent);
      }
      curvature.add(head_weight(), into_weight);
    }
    return sum;
  }

 private:
  // The order of parameters().
  static constexpr size_t wte = 0, wpe = 1;
  static constexpr size_t norm1 = 0, qkv = 2, attention_out = 4, norm2 = 6, up = 8, down = 10, parameters_per_block = 12;
  static size_t block(int64_t n) { return 2 + parameters_per_block * static_cast<size_t>(n); }
  size_t final_norm() const { return block(d_.layers); }
  size_t head_weight() const { return d_.tied ? wte : final_norm() + 2; }
  static InitialValue norm_value(size_t which) { return {InitialValue::Kind::constant, which == 0 ? 1.0 : 0.0}; }

  Gpt2Description d_;
};

}  // namespace

std::unique_ptr<const Architecture> make_gpt2(Gpt2Description description) { return std::make_unique<Gpt2>(description); }

}  // namespace critical_sharpness
