#pragma once
#include <ATen/core/Tensor.h>

#include <vector>

namespace critical_sharpness::kernels {

using TensorList = std::vector<at::Tensor>;

/// Constants of one optimizer, per parameter where they differ.
struct GroupConstants {
  const std::vector<double>& learning_rate_ratio;
  const std::vector<double>& weight_decay;  // γ; all zero leaves decay out
};

/// A parameter's ratio r and decay γ, and which of its numbers are meant.
struct Part {
  double learning_rate_ratio, weight_decay;
  int64_t start, length;  // at most chunk_length
};

/// AdamW's moments: m ← β₁m + (1−β₁)g, v ← β₂v + (1−β₂)g². Undefined g = zeros.
void adamw_accumulate(const at::Tensor& m, const at::Tensor& v, const at::Tensor& gradient, double beta1, double beta2);

struct AdamWConstants {
  double bias_correction1, bias_correction2, epsilon;  // 1 − βᵗ
};
/// out = r·(m / (c₁(√(v/c₂) + ε)) + γθ), of the state's dtype; θ may be bfloat16.
void adamw_direction(void* out, const at::Tensor& weight, const at::Tensor& m, const at::Tensor& v,
                     const AdamWConstants& constants, const Part& part);
/// θ ← θ − η·(the same), with the same bits as a direction that was made first.
void adamw_step(const TensorList& weights, const TensorList& m, const TensorList& v, const AdamWConstants& constants,
                const GroupConstants& groups, double learning_rate);
/// out = c₁(√(v/c₂) + ε) / r.
void adamw_preconditioner(const TensorList& out, const TensorList& v, const AdamWConstants& constants,
                          const GroupConstants& groups);

/// buffer ← μ·buffer + g. Undefined g = zeros.
void momentum_accumulate(const at::Tensor& buffer, const at::Tensor& gradient, double momentum);
/// out = r·(buffer·a + gradient·b + γθ), of the state's dtype; the undefined among them are zeros; θ may be bfloat16.
void sgd_direction(void* out, const at::Tensor& weight, const at::Tensor& buffer, double a, const at::Tensor& gradient,
                   double b, const Part& part);
void sgd_step(const TensorList& weights, const TensorList& buffer, double a, const TensorList& gradient, double b,
              const GroupConstants& groups, double learning_rate);

}  // namespace critical_sharpness::kernels
