#pragma once
#include <ATen/core/Tensor.h>

#include <memory>
#include <vector>

namespace critical_sharpness {

/// How the terms of a loss, one for each row of a network's outputs (a token's label, an example), become one number:
/// L = f(t)/normalizer. It belongs to the rows of a batch. Without one, f is the sum of the terms.
class Objective {
 public:
  virtual ~Objective() = default;

  /// What f is divided by.
  virtual double normalizer() const = 0;
  /// Whether ∂f/∂t depends on no term.
  virtual bool is_linear() const = 0;
  /// Whether f is convex and rises with every term: else a Gauss–Newton matrix has negative eigenvalues.
  virtual bool is_convex() const = 0;
  /// Rows of the batch that belong together: a part of it has a multiple of them.
  virtual int64_t rows_together() const { return 1; }

  // Terms [n], tangents [n]; results float64 on their device. Terms may be undefined where f is linear.

  /// f, one number.
  virtual at::Tensor value(const at::Tensor& terms) const = 0;
  /// ∂f/∂t, [n].
  virtual at::Tensor weights(const at::Tensor& terms) const = 0;
  /// The derivative of `weights` along the terms' tangents, [n]; undefined: zeros.
  virtual at::Tensor weights_tangent(const at::Tensor& terms, const at::Tensor& tangents) const = 0;

  /// Of rows [start, start + length) of the batch; its normalizer is theirs.
  virtual std::shared_ptr<const Objective> part(int64_t start, int64_t length) const = 0;
  virtual std::shared_ptr<const Objective> on(at::Device device) const = 0;
  /// All that two of a kind are told apart by.
  virtual std::vector<at::Tensor> numbers() const = 0;
};

/// f = Σ wᵢtᵢ, divided by Σ|wᵢ|: weighted fine-tuning, masks, policy gradients (w: advantages, Williams 1992).
/// `weights`: float64 [rows, …], one for each term; that of a term that does not count is 0. Throws where all are 0 or one is
/// not finite.
std::shared_ptr<const Objective> weighted_objective(at::Tensor weights);

struct PreferenceOptions {
  double beta = 0.1;             // β > 0
  double label_smoothing = 0;    // share of preferences that are taken to be wrong (Mitchell 2023), in [0, 1)
};

/// Direct preference optimisation (Rafailov et al. 2023) over rows that alternate, chosen and rejected: with −Σt of a row's
/// terms its log-probability, m = β·((log π − log π_ref)(chosen) − (log π − log π_ref)(rejected)) and f = Σ −log σ(m),
/// divided by the number of pairs.
/// `reference`: log π_ref of each row, float64 [rows]; `length`: terms a row. Throws where rows are odd, or a number is not finite.
std::shared_ptr<const Objective> preference_objective(at::Tensor reference, int64_t length, PreferenceOptions options);

}  // namespace critical_sharpness
