#pragma once
#include <vector>

#include "cancellation.hpp"
#include "kernels/delta.hpp"
#include "layout.hpp"

namespace critical_sharpness {

/// Sums over a layout's parameters of products aᵢbᵢ, in float64: a parameter's chunks are summed each for itself and added up in
/// their order, so that no sum depends on the number of threads or of ranks. The one place where sums over parameters are made.
class Sums {
 public:
  /// So many products at once.
  Sums(const Layout& layout, size_t products) : layout_(layout), parts_(layout.size()), products_(products) {}

  /// Takes a parameter's products: of here, and left where they were computed.
  void add(size_t parameter, const std::vector<kernels::Delta>& a, const std::vector<kernels::Delta>& b, const Cancellation& cancel);
  /// totals[k][parameter], of all ranks: on every rank at the same place.
  std::vector<std::vector<double>> totals() const;

 private:
  const Layout& layout_;
  std::vector<at::Tensor> parts_;  // of each parameter [products], or of a sharded one [its chunks here, products]
  size_t products_;
};

/// A tensor's sum of its chunks', in the order in which one process adds them up where the tensor lies.
double added_up(std::vector<double> chunks, at::Device device);

/// Sums over some parameters of a layout of ranks: `parts` are [chunk][sum] of what is here of them, in the order of parameters and of
/// their chunks. Added up in that order, of all ranks.
std::vector<double> total(const Layout& layout, const std::vector<size_t>& parameters, size_t sums, std::vector<double> parts);

/// Σ aᵢbᵢ of each parameter, of all ranks.
std::vector<double> dots(const Layout& layout, const std::vector<kernels::Delta>& a, const std::vector<kernels::Delta>& b,
                         const Cancellation& cancel = {});

}  // namespace critical_sharpness
