#pragma once
#include <ATen/core/Tensor.h>

namespace critical_sharpness::kernels {

/// out = θ − ηΔ, combined in θ's precision and rounded once to out's dtype (θ's own, or bfloat16 from float32).
/// All contiguous and of one shape; Δ has θ's dtype; undefined Δ = zeros.
void perturb(const at::Tensor& out, const at::Tensor& weight, const at::Tensor& direction, double learning_rate);

/// rows[i] −= ηΔ[ids[i]], for the rows that an embedding gathered: the same bits as gathering from θ − ηΔ.
/// rows [n, width] contiguous; ids int64 [n] contiguous; Δ [vocabulary, width] contiguous, of rows' dtype.
void perturb_rows(const at::Tensor& rows, const at::Tensor& ids, const at::Tensor& direction, double learning_rate);

}  // namespace critical_sharpness::kernels
