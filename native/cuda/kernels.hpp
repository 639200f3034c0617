#pragma once
// The kernels of core/kernels for tensors on a CUDA device. Each does what its namesake there does. They are queued on the
// device's current stream, allocate from libtorch's caching allocator and never wait for the device.
#include "kernels/activation.hpp"
#include "kernels/basis.hpp"
#include "kernels/norm.hpp"
#include "kernels/formula.hpp"

namespace critical_sharpness::cuda {

using kernels::ActivationDerivatives;
using kernels::Basis;
using kernels::Delta;
using kernels::Formula;
using kernels::Normalized;
using kernels::NormGradients;
using kernels::NormOperands;
using kernels::NormTangent;
using kernels::TensorList;

// Our own (*.cu), one pass over memory each.
void perturb(const at::Tensor& out, const at::Tensor& weight, const Delta& delta, double learning_rate);
void negative_step(const at::Tensor& out, const Delta& delta, double learning_rate);
void perturb_rows(const at::Tensor& rows, const at::Tensor& ids, const Delta& delta, double learning_rate);
void write(const TensorList& out, const std::vector<Delta>& deltas);
void step(const std::vector<Delta>& deltas, double learning_rate);
void accumulate(const Formula& formula, const kernels::States& states, const TensorList& gradients,
                const update::Constants& constants);
void write_metric(const Formula& formula, const TensorList& out, const kernels::States& states,
                  const update::Constants& constants, const std::vector<double>& learning_rate_ratio);
at::Tensor dots(const std::vector<Delta>& a, const std::vector<Delta>& b);
/// Reads its result, so this one waits, as the next does.
std::vector<double> subtract_and_project(const Basis& basis, const TensorList& w, const std::vector<double>& subtract,
                                         bool project);
std::vector<double> subtract_and_project_chunks(const Basis& basis, const TensorList& w, const std::vector<double>& subtract,
                                                bool project);
void rotate(const Basis& basis, const std::vector<double>& combination, size_t kept);
void combine(const TensorList& out, const Basis& vectors, const std::vector<double>& coefficients);

// In libtorch's operations (*.cpp): what the first-order passes of most models do without.
at::Tensor rotate(const at::Tensor& x, const at::Tensor& cosines, const at::Tensor& sines, bool back);
ActivationDerivatives activation_derivatives(const at::Tensor& x, Activation kind);
at::Tensor sum_of_products(const at::Tensor& a, const at::Tensor& b, const at::Tensor& c, const at::Tensor& d);
Normalized norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, double epsilon, bool centered);
at::Tensor norm_gradient(const at::Tensor& gradient, const at::Tensor& normalized, const at::Tensor& scale,
                         const at::Tensor& weight, bool centered);
NormGradients norm_gradients(const at::Tensor& gradient, const at::Tensor& normalized, const at::Tensor& scale,
                             const at::Tensor& weight, bool centered);
NormTangent norm_tangent(const at::Tensor& x_tangent, const at::Tensor& normalized, const at::Tensor& scale,
                         const at::Tensor& weight, const at::Tensor& weight_tangent, const at::Tensor& bias_tangent,
                         bool centered);
NormGradients norm_second_order(const NormOperands& operands);
void softmax_tangent(const at::Tensor& p, const at::Tensor& tangent);
void softmax_backward(const at::Tensor& p, const at::Tensor& tangent, const at::Tensor& into_values,
                      const at::Tensor& into_tangent);
at::Tensor cross_entropy_curvature(const at::Tensor& p, const at::Tensor& tangent, const at::Tensor& targets, double scale);

}  // namespace critical_sharpness::cuda
