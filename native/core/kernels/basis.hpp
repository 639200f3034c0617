#pragma once
#include <ATen/core/Tensor.h>

#include <vector>

#include "cancellation.hpp"

namespace critical_sharpness::kernels {

using Basis = std::vector<std::vector<at::Tensor>>;

/// w ← w − Σ subtractⱼ·qⱼ (where `subtract` is not empty), then [q₀·w, …, ‖w‖²] in float64; without `project` only the
/// last. One pass over the basis; the order of summation does not depend on the number of threads. All tensors are defined.
std::vector<double> subtract_and_project(const Basis& basis, const std::vector<at::Tensor>& w,
                                         const std::vector<double>& subtract, bool project);

/// The same of each chunk by itself: [chunk][sum], in the order of tensors and of their chunks.
std::vector<double> subtract_and_project_chunks(const Basis& basis, const std::vector<at::Tensor>& w,
                                                const std::vector<double>& subtract, bool project);

/// The first `kept` vectors become qᵢ ← Σⱼ combination[i·size + j]·qⱼ, in their own storage.
void rotate(const Basis& basis, const std::vector<double>& combination, size_t kept);

/// out ← Σ coefficientⱼ·vectorⱼ; undefined tensors of a vector are zeros.
void combine(const std::vector<at::Tensor>& out, const Basis& vectors, const std::vector<double>& coefficients,
             const Cancellation& cancel = {});

}  // namespace critical_sharpness::kernels
