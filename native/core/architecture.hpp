#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "activation.hpp"
#include "batch.hpp"
#include "cancellation.hpp"
#include "parameter_vector.hpp"
#include "parameter_view.hpp"

namespace critical_sharpness {

namespace curvature {
class TangentView;
}

enum class Loss { mse, cross_entropy };

/// How one parameter starts: N(0, deviation²), U(−bound, bound) or a constant.
struct InitialValue {
  enum class Kind { constant, normal, uniform } kind = Kind::constant;
  double value = 0;
};

/// Where a loss's closed-form derivatives go while its head is computed.
struct HeadGradient {
  double scale = 1;                                                // of every derivative
  at::Tensor features;                                             // ∂/∂features, filled by the head
  std::function<void(size_t parameter, const at::Tensor&)> add;    // ∂/∂parameter, to be added up; may be empty
};

/// Where the derivatives of the loss's tangent go while its head is computed.
struct HeadCurvature {
  double scale = 1;           // of every derivative
  bool gauss_newton = false;  // leaves out what the loss's gradient in the features contributes
  at::Tensor features;        // ∂/∂features, filled by the head
  std::function<void(size_t parameter, const at::Tensor&)> add;  // ∂/∂parameter, to be added up
};

/// A network without weights: what its parameters are and how a forward pass reads them through a view.
///
/// A pass has two parts, so that a loss over a large vocabulary is never held whole: `features` is differentiated by
/// autograd, `head` computes the loss over them (in chunks) and, when asked, its derivatives in closed form.
class Architecture {
 public:
  virtual ~Architecture() = default;
  virtual std::vector<ParameterSpec> parameters() const = 0;
  virtual InitialValue initial_value(size_t parameter, const std::string& scheme) const = 0;
  virtual void check(const Batch& batch) const = 0;
  /// What the sum of the loss terms is divided by.
  virtual double normalizer(const Batch& batch) const = 0;
  /// Whether `head` alone reads the parameter, and not `features`.
  virtual bool only_in_head(size_t parameter) const = 0;
  virtual at::Tensor features(ParameterView& view, const Batch& batch, const Cancellation& cancel) const = 0;
  /// Sum of the loss terms, one number in float64, which stays on its device until somebody reads it; fills `gradient` when it
  /// is given.
  virtual at::Tensor head(ParameterView& view, const at::Tensor& features, const Batch& batch, HeadGradient* gradient,
                          const Cancellation& cancel) const = 0;
  /// Derivative of that sum along the direction of `view` and the features' tangent; fills `curvature` with the
  /// derivatives of this one.
  virtual at::Tensor head_tangent(curvature::TangentView& view, const at::Tensor& features, const at::Tensor& tangent,
                                  const Batch& batch, HeadCurvature& curvature, const Cancellation& cancel) const = 0;
};

struct MlpDescription {
  std::vector<int64_t> layer_sizes;
  Activation activation = Activation::gelu;
  Loss loss = Loss::mse;
};
std::unique_ptr<const Architecture> make_mlp(MlpDescription description);

}  // namespace critical_sharpness
