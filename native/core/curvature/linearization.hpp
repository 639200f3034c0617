#pragma once
#include <ATen/core/Tensor.h>

#include <vector>

#include "cancellation.hpp"
#include "layout.hpp"
#include "parameter_vector.hpp"

namespace critical_sharpness::curvature {

/// H: the loss's Hessian. JᵀH_out·J: the Gauss–Newton matrix, with the Hessian of the loss in the network's outputs alone.
enum class Operator { hessian, gauss_newton };

struct LinearizationOptions {
  double scale = 1;  // of the sum of the loss terms
  Operator kind = Operator::hessian;
  const Layout& layout;  // which parameters are trainable
  Cancellation cancel;
};

/// A network on a batch, around weights that must stay as they are: what its products with vectors have in common.
class Linearization {
 public:
  virtual ~Linearization() = default;
  /// Adds the product with `vector` to the gradients of the leaves, which are the weights; returns the slope ∇L·vector.
  virtual double add_product(const ParameterVector& vector, std::vector<at::Tensor>& leaves, const Cancellation& cancel) const = 0;
  virtual int64_t byte_length() const = 0;
};

}  // namespace critical_sharpness::curvature
