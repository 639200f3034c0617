#pragma once
#include <ATen/core/Tensor.h>

namespace critical_sharpness::kernels {

/// Rotates, of each head of x [batch, length, heads, size], the pairs (xᵢ, xᵢ₊ₙ), i < n, by an angle of its place:
/// (xᵢc − xᵢ₊ₙs, xᵢ₊ₙc + xᵢs) with c, s of `cosines`, `sines` [length, n]; `back`: by its opposite. Channels from 2n on stay.
/// Any strides but the last, which is 1; float32 or float64, as are the tables.
at::Tensor rotate(const at::Tensor& x, const at::Tensor& cosines, const at::Tensor& sines, bool back);

}  // namespace critical_sharpness::kernels
