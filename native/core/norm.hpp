#pragma once
#include <ATen/core/Tensor.h>

#include <optional>

namespace critical_sharpness {

/// A normalisation over the last axis: (x − mean)/√(var + ε) (Ba et al. 2016) or x/√(mean(x²) + ε) (Zhang & Sennrich 2019),
/// then times a weight and plus a bias, where it has them.
struct Norm {
  enum class Kind { layer, rms } kind = Kind::layer;
  double epsilon = 1e-5;
  std::optional<size_t> weight, bias;  // of the layout
  bool weight_from_one = false;        // the weight is 1 + the parameter

  bool centered() const { return kind == Kind::layer; }
};

/// The root-mean-square norm of x [… , width]; an undefined weight is 1.
at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon);

}  // namespace critical_sharpness
