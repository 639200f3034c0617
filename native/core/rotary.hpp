#pragma once
#include <ATen/core/Tensor.h>

#include <vector>

namespace critical_sharpness {

/// Rotary positions (Su et al. 2021), with the two halves of the rotated channels as the pairs.
struct RotaryTable {
  at::Tensor cosines, sines;  // [length, frequencies]; undefined: nothing is rotated
};

/// Of angles place·frequency, in float64, then rounded to the options' dtype; cosines and sines are multiplied by `scale`.
RotaryTable rotary_table(const std::vector<double>& frequencies, double scale, int64_t length, at::TensorOptions options);

/// x [batch, length, heads, size], rotated in the table's precision. Linear in x.
at::Tensor rotate(const at::Tensor& x, const RotaryTable& table);

}  // namespace critical_sharpness
