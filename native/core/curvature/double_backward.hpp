#pragma once
#include "linearization.hpp"
#include "network/network.hpp"

namespace critical_sharpness::curvature {

/// By autograd's gradient of ∇L·v (Pearlmutter 1994), of any network whose operations have second derivatives; attention is
/// computed by its math kernel meanwhile, for the fused ones have none. The graph of ∇L is kept between products.
class DoubleBackward final : public Linearization {
 public:
  /// Throws for Gauss–Newton, which asks for the network's outputs.
  DoubleBackward(const Network& network, const std::vector<at::Tensor>& weights, const Batch& batch,
                 const LinearizationOptions& options);

  double add_product(const ParameterVector& vector, std::vector<at::Tensor>& leaves, const Cancellation& cancel) const override;
  int64_t byte_length() const override;

 private:
  std::vector<at::Tensor> leaves_;
  std::vector<at::Tensor> gradients_;  // of scale·loss, with their graph; undefined: zeros
};

}  // namespace critical_sharpness::curvature
