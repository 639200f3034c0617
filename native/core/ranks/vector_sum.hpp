#pragma once
#include <ATen/core/Tensor.h>

#include <vector>

#include "ranks/gradient_exchange.hpp"

namespace critical_sharpness {

/// A vector of parameters in parts of micro-batches, which are added up in their order, whichever rank has which.
class VectorSum {
 public:
  explicit VectorSum(const Layout& layout);

  /// Takes this rank's among the parts of the next `count` micro-batches, one each at most: a whole tensor for each parameter. Undefined:
  /// zeros.
  void add(std::vector<at::Tensor> mine, size_t count);
  /// What is kept here of the sum.
  std::vector<at::Tensor> take();

 private:
  const Layout& layout_;
  std::vector<at::Tensor> sums_;  // of one process
  GradientExchange exchange_;
  std::vector<size_t> blocks_, shared_;  // with something trainable; of what every rank keeps
};

}  // namespace critical_sharpness
