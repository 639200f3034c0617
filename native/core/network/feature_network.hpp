#pragma once
#include "network.hpp"

namespace critical_sharpness {

namespace curvature {
class TangentView;
}

/// Where a loss's closed-form derivatives go while its head is computed.
struct HeadGradient {
  double scale = 1;                                                // of every derivative
  at::Tensor features;                                             // ∂/∂features, filled by the head
  std::function<bool(size_t parameter)> wanted;
  std::function<void(size_t parameter, const at::Tensor&)> add;    // ∂/∂parameter, to be added up; may be empty
};

/// Where the derivatives of the loss's tangent go while its head is computed.
struct HeadCurvature {
  double scale = 1;           // of every derivative
  bool gauss_newton = false;  // leaves out what the loss's gradient in the features contributes
  at::Tensor features;        // ∂/∂features, filled by the head
  std::function<void(size_t parameter, const at::Tensor&)> add;  // ∂/∂parameter, to be added up
};

/// A network in two parts, so that a loss over a large vocabulary is never held whole: `features` is differentiated by
/// autograd, `head` computes the loss over them (in chunks) and, when asked, its derivatives in closed form.
class FeatureNetwork : public Network {
 public:
  /// Whether `head` alone reads the parameter, and not `features`.
  virtual bool only_in_head(size_t parameter) const = 0;
  /// Of each part, [rows or tokens, width].
  virtual std::vector<at::Tensor> features(ParameterView& view, const std::vector<Batch>& parts,
                                           const Cancellation& cancel) const = 0;
  /// f of the loss terms (see `Network::losses`); fills `gradient` when it is given.
  virtual at::Tensor head(ParameterView& view, const at::Tensor& features, const Batch& batch, HeadGradient* gradient,
                          const Cancellation& cancel) const = 0;
  /// Derivative of f along the direction of `view` and the features' tangent; fills `curvature` with the derivatives of this one.
  virtual at::Tensor head_tangent(curvature::TangentView& view, const at::Tensor& features, const at::Tensor& tangent,
                                  const Batch& batch, HeadCurvature& curvature, const Cancellation& cancel) const = 0;

  at::Tensor features(ParameterView& view, const Batch& batch, const Cancellation& cancel) const {
    return features(view, std::vector{batch}, cancel).front();
  }

  std::vector<at::Tensor> losses(ParameterView& view, const std::vector<Batch>& parts, const Cancellation& cancel) const final;
  PendingGradient differentiate(const Differentiation& how, const Batch& part) const final;
  bool is_whole_before_backward(size_t parameter) const override { return only_in_head(parameter); }
  bool is_linearizable() const override { return true; }
  std::unique_ptr<curvature::Linearization> linearize(const std::vector<at::Tensor>& weights, const Batch& part,
                                                      const curvature::LinearizationOptions& options) const override;
};

}  // namespace critical_sharpness
