#pragma once
#include <memory>
#include <vector>

#include "parameter_vector.hpp"

namespace critical_sharpness {

using SharedVector = std::shared_ptr<const ParameterVector>;

enum class Distribution { normal, rademacher };

/// Independent numbers of variance 1. The same seed gives the same numbers, in float32 and in float64.
ParameterVector random_vector(const std::shared_ptr<const Layout>& layout, Distribution distribution, uint64_t seed,
                              const Cancellation& cancel = {});
/// Σ coefficientᵢ·vectorᵢ of one or more vectors.
ParameterVector linear_combination(const std::vector<SharedVector>& vectors, const std::vector<double>& coefficients,
                                   const Cancellation& cancel = {});
/// The elementwise product.
ParameterVector elementwise_product(const ParameterVector& a, const ParameterVector& b, const Cancellation& cancel = {});
/// P^(−½) of a diagonal P. Throws ERR_OUT_OF_RANGE unless every number is positive.
ParameterVector inverse_square_root(const ParameterVector& diagonal, const Cancellation& cancel = {});

}  // namespace critical_sharpness
