#pragma once
#include <ATen/core/Tensor.h>

#include "delta.hpp"

namespace critical_sharpness::kernels {

/// out = θ − ηΔ, combined in float32 or wider and rounded once to out's dtype: Δ's, or bfloat16 from float32 weights.
/// Both contiguous and of one shape.
void perturb(const at::Tensor& out, const at::Tensor& weight, const Delta& delta, double learning_rate);

/// out = −ηΔ, rounded to bfloat16.
void negative_step(const at::Tensor& out, const Delta& delta, double learning_rate);

/// rows[i] −= ηΔ[ids[i]], for the rows that an embedding gathered: the same bits as gathering from θ − ηΔ.
/// rows [… , width] contiguous, of Δ's dtype; ids int64 contiguous, one for each row.
void perturb_rows(const at::Tensor& rows, const at::Tensor& ids, const Delta& delta, double learning_rate);

}  // namespace critical_sharpness::kernels
