#include "mlp.hpp"

#include <algorithm>
#include <cmath>

#include "errors.hpp"
#include "feature_network.hpp"

namespace critical_sharpness {
namespace {

/// Fully connected layers with an activation between them. Parameters 2n and 2n + 1 are layer n's weight and bias.
class Mlp final : public FeatureNetwork {
 public:
  explicit Mlp(MlpDescription description) : d_(std::move(description)) {}

  std::vector<ParameterSpec> parameters() const override {
    std::vector<ParameterSpec> specs;
    for (size_t n = 0; n < layers(); n++) {
      const std::string name = "layers." + std::to_string(n);
      specs.push_back({name + ".weight", {d_.layer_sizes[n + 1], d_.layer_sizes[n]}});
      specs.push_back({name + ".bias", {d_.layer_sizes[n + 1]}});
    }
    return specs;
  }

  /// "pytorch": torch.nn.Linear's U(±1/√in) for weight and bias. "he": N(0, 2/in) (He et al. 2015), bias 0.
  InitialValue initial_value(size_t parameter, const std::string& scheme) const override {
    using Kind = InitialValue::Kind;
    const double inputs = static_cast<double>(d_.layer_sizes[parameter / 2]);
    if (scheme == "pytorch") return {Kind::uniform, 1 / std::sqrt(inputs)};
    if (scheme == "he") return parameter % 2 == 0 ? InitialValue{Kind::normal, std::sqrt(2 / inputs)} : InitialValue{};
    reject_range("Expected initialization \"pytorch\", \"he\" or \"zeros\" for a model of type mlp but received \"" + scheme + "\"");
  }

  void check(const Batch& batch) const override {
    if (batch.kind() != Batch::Kind::examples)
      reject_type("Expected a batch of examples for a model of type mlp but received a batch of tokens");
    if (batch.inputs().size(1) != d_.layer_sizes.front())
      reject_range("Expected " + std::to_string(d_.layer_sizes.front()) + " features for the batch's inputs but received " +
                   std::to_string(batch.inputs().size(1)));
    const at::Tensor& targets = batch.targets();
    const int64_t outputs = d_.layer_sizes.back();
    if (d_.loss == Loss::cross_entropy) {
      if (targets.scalar_type() != at::kLong || targets.dim() != 1)
        reject_type("Expected class labels, int64 [n], for the batch's targets but received numbers for a regression");
      if (batch.largest_target() >= outputs)
        reject_range("Expected class labels below " + std::to_string(outputs) + " for the batch's targets but received " +
                     std::to_string(batch.largest_target()));
    } else if (!targets.is_floating_point() || targets.dim() != 2) {
      reject_type("Expected floating-point numbers [n, out] for the batch's targets but received class labels");
    } else if (targets.size(1) != outputs) {
      reject_range("Expected " + std::to_string(outputs) + " numbers a row for the batch's targets but received " +
                   std::to_string(targets.size(1)));
    }
  }

  /// A row's squared errors are averaged over its outputs.
  double normalizer(const Batch& batch) const override {
    return batch.normalizer() * (d_.loss == Loss::mse ? static_cast<double>(d_.layer_sizes.back()) : 1.0);
  }
  int64_t numbers_held(const Batch& part) const override {
    return part.rows() * *std::max_element(d_.layer_sizes.begin(), d_.layer_sizes.end());
  }
  bool only_in_head(size_t) const override { return false; }

  std::vector<at::Tensor> features(ParameterView& view, const std::vector<Batch>& parts,
                                   const Cancellation& cancel) const override {
    std::vector<at::Tensor> all;
    for (const auto& part : parts) all.push_back(part.inputs());
    for (size_t n = 0; n < layers(); n++) {
      const ParameterView::Shared shared(view, parts.size());
      for (auto& x : all) {
        cancel.check();
        x = view.linear(x, 2 * n, 2 * n + 1);
        if (n + 1 < layers()) x = view.activation(x, d_.activation);
      }
    }
    return all;
  }

  at::Tensor head(ParameterView&, const at::Tensor& outputs, const Batch& batch, HeadGradient* gradient,
                  const Cancellation&) const override {
    if (!gradient) return loss_of(d_.loss, outputs, batch.targets(), batch.objective(), 0, nullptr);
    const at::Tensor sum = loss_of(d_.loss, outputs, batch.targets(), batch.objective(), gradient->scale, &gradient->features);
    gradient->features = gradient->features.to(outputs.scalar_type());
    return sum;
  }

  at::Tensor head_tangent(curvature::TangentView&, const at::Tensor& outputs, const at::Tensor& tangent, const Batch& batch,
                          HeadCurvature& curvature, const Cancellation&) const override {
    const LossTangent made = tangent_of(d_.loss, outputs, tangent.clone(at::MemoryFormat::Contiguous), batch.targets(),
                                        batch.objective(), curvature.scale);
    curvature.features = made.of_gradient;
    return made.sum;
  }

 private:
  size_t layers() const { return d_.layer_sizes.size() - 1; }
  MlpDescription d_;
};

}  // namespace

std::unique_ptr<Network> make_mlp(MlpDescription description) {
  return std::make_unique<Mlp>(std::move(description));
}

}  // namespace critical_sharpness
