#pragma once
#include "linearization.hpp"
#include "network/feature_network.hpp"
#include "views.hpp"

namespace critical_sharpness::curvature {

/// By linearising twice (see operation.hpp).
class FeatureLinearization final : public Linearization {
 public:
  FeatureLinearization(const FeatureNetwork& network, const std::vector<at::Tensor>& weights, Batch batch,
                       const LinearizationOptions& options);

  double add_product(const ParameterVector& vector, std::vector<at::Tensor>& leaves, const Cancellation& cancel) const override;
  int64_t byte_length() const override;

 private:
  const FeatureNetwork& network_;
  std::vector<at::Tensor> weights_;
  Batch batch_;
  double scale_;
  Operator kind_;
  Operations operations_;
  at::Tensor features_;
};

}  // namespace critical_sharpness::curvature
