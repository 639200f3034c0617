#include <ATen/TensorOperators.h>
#include <ATen/ops/log_sigmoid.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>

#include <string>

#include "errors.hpp"
#include "objective.hpp"

namespace critical_sharpness {
namespace {

class Preference final : public Objective {
 public:
  Preference(at::Tensor reference, int64_t length, PreferenceOptions options)
      : reference_(std::move(reference)), length_(length), options_(options) {}

  double normalizer() const override { return static_cast<double>(reference_.size(0) / 2); }
  bool is_linear() const override { return false; }
  bool is_convex() const override { return false; }
  int64_t rows_together() const override { return 2; }

  at::Tensor value(const at::Tensor& terms) const override {
    const at::Tensor m = margins(terms);
    return (at::log_sigmoid(m).mul_(options_.label_smoothing - 1) - at::log_sigmoid(-m).mul_(options_.label_smoothing)).sum();
  }
  at::Tensor weights(const at::Tensor& terms) const override {
    // f' = σ(m) − 1 + ε
    return to_terms(at::sigmoid(margins(terms)).add_(options_.label_smoothing - 1));
  }
  at::Tensor weights_tangent(const at::Tensor& terms, const at::Tensor& tangents) const override {
    const at::Tensor probability = at::sigmoid(margins(terms));
    return to_terms(probability * (1 - probability) * differences(tangents).mul_(-options_.beta));
  }

  std::shared_ptr<const Objective> part(int64_t start, int64_t length) const override {
    TORCH_INTERNAL_ASSERT(start % 2 == 0 && length % 2 == 0);
    return std::make_shared<Preference>(reference_.narrow(0, start, length), length_, options_);
  }
  std::shared_ptr<const Objective> on(at::Device device) const override {
    return std::make_shared<Preference>(reference_.to(device), length_, options_);
  }
  std::vector<at::Tensor> numbers() const override {
    return {reference_, at::tensor({static_cast<double>(length_), options_.beta, options_.label_smoothing}, at::kDouble)};
  }

 private:
  /// Of numbers a row, chosen less rejected, [pairs].
  static at::Tensor of_pairs(const at::Tensor& rows) {
    const at::Tensor pairs = rows.view({-1, 2});
    return pairs.select(1, 0) - pairs.select(1, 1);
  }
  at::Tensor differences(const at::Tensor& terms) const {
    return of_pairs(terms.to(at::kDouble).reshape({-1, length_}).sum(at::IntArrayRef{1}));
  }
  /// m. Terms are negative log-probabilities.
  at::Tensor margins(const at::Tensor& terms) const {
    return (differences(terms) + of_pairs(reference_)).mul_(-options_.beta);
  }
  /// From a derivative in m to those in the terms.
  at::Tensor to_terms(const at::Tensor& of_margin) const {
    const at::Tensor of_chosen = of_margin.mul(-options_.beta);
    return at::stack({of_chosen, -of_chosen}, 1).reshape({-1, 1}).expand({-1, length_}).reshape({-1});
  }

  at::Tensor reference_;
  int64_t length_;
  PreferenceOptions options_;
};

}  // namespace

std::shared_ptr<const Objective> preference_objective(at::Tensor reference, int64_t length, PreferenceOptions options) {
  if (reference.size(0) % 2 != 0)
    reject_range("Expected pairs of rows, chosen and rejected, for the preferences but received " +
                 std::to_string(reference.size(0)) + " rows");
  if (!reference.isfinite().all().item<bool>())
    reject_range("Expected finite numbers for referenceLogProbabilities but received others");
  return std::make_shared<Preference>(std::move(reference), length, options);
}

}  // namespace critical_sharpness
