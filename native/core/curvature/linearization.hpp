#pragma once
#include "architecture.hpp"
#include "batch.hpp"
#include "cancellation.hpp"
#include "views.hpp"

namespace critical_sharpness::curvature {

/// H: the loss's Hessian. JᵀH_out·J: the Gauss–Newton matrix, with the Hessian of the loss in the network's outputs alone.
enum class Operator { hessian, gauss_newton };

/// A network on a batch, around weights that must stay as they are: what its products with vectors have in common.
class Linearization {
 public:
  /// `scale`: of the sum of the loss terms.
  Linearization(const Architecture& architecture, const std::vector<at::Tensor>& weights, Batch batch, double scale,
                Operator kind, const Cancellation& cancel);

  /// Adds the product with `vector` to the gradients of the leaves, which are the weights; returns the slope ∇L·vector.
  double add_product(const ParameterVector& vector, std::vector<at::Tensor>& leaves, const Cancellation& cancel) const;
  int64_t byte_length() const;

 private:
  const Architecture& architecture_;
  std::vector<at::Tensor> weights_;
  Batch batch_;
  double scale_;
  Operator kind_;
  Operations operations_;
  at::Tensor features_;
};

/// Weights as leaves of autograd's graph, without gradients so far.
std::vector<at::Tensor> leaves_of(const std::vector<at::Tensor>& weights);

}  // namespace critical_sharpness::curvature
