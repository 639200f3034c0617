#include <ATen/ops/dot.h>

#include <cmath>

#include "errors.hpp"
#include "objective.hpp"

namespace critical_sharpness {
namespace {

class Weighted final : public Objective {
 public:
  explicit Weighted(at::Tensor weights) : weights_(std::move(weights)) {}

  double normalizer() const override { return weights_.abs().sum().item<double>(); }
  bool is_linear() const override { return true; }
  bool is_convex() const override { return weights_.min().item<double>() >= 0; }
  at::Tensor value(const at::Tensor& terms) const override { return at::dot(terms.to(at::kDouble), weights({})); }
  at::Tensor weights(const at::Tensor&) const override { return weights_.reshape({-1}); }
  at::Tensor weights_tangent(const at::Tensor&, const at::Tensor&) const override { return {}; }

  std::shared_ptr<const Objective> part(int64_t start, int64_t length) const override {
    return std::make_shared<Weighted>(weights_.narrow(0, start, length));
  }
  std::shared_ptr<const Objective> on(at::Device device) const override {
    return std::make_shared<Weighted>(weights_.to(device));
  }
  std::vector<at::Tensor> numbers() const override { return {weights_}; }

 private:
  at::Tensor weights_;
};

}  // namespace

std::shared_ptr<const Objective> weighted_objective(at::Tensor weights) {
  auto objective = std::make_shared<Weighted>(std::move(weights));
  const double sum = objective->normalizer();
  if (!std::isfinite(sum)) reject_range("Expected finite numbers for weights but received others");
  if (sum == 0)
    reject_range("Expected a weight other than 0, of a label that counts, for weights but received none: the loss would be 0/0");
  return objective;
}

}  // namespace critical_sharpness
