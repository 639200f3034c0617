#pragma once
#include <atomic>
#include <memory>

#include "linearization.hpp"
#include "model.hpp"
#include "ranks/gradient_exchange.hpp"

namespace critical_sharpness {

struct CurvatureResult {
  double slope = 0;  // ∇L·v
  uint64_t version = 0;
  std::shared_ptr<const ParameterVector> product;
};

struct CurvatureOptions {
  curvature::Operator kind = curvature::Operator::hessian;
  int64_t micro_batch = 0;
  /// Between products, keep what they have in common, where the batch is one micro-batch.
  bool keep = false;
};

/// Exact products of the curvature of a batch's mean loss, at a model's weights of today, with vectors.
/// `product` is called on the compute thread only.
class Curvature {
 public:
  /// Throws unless the batch fits the model.
  Curvature(std::shared_ptr<Model> model, std::shared_ptr<const Batch> batch, CurvatureOptions options);

  const std::shared_ptr<Model>& model() const { return model_; }
  /// Throws for a model that computes in bfloat16. Over ranks, each takes its micro-batches with a vector that is whole while the
  /// product is made, and with whole weights, which are kept for the next; of the product it keeps its part.
  CurvatureResult product(const ParameterVector& vector, const Cancellation& cancel);
  /// Bytes that are kept between products. May be read from any thread.
  int64_t byte_length() const { return bytes_.load(); }

 private:
  /// Forgets what was kept of other weights.
  void refresh();
  const std::vector<at::Tensor>& whole_weights();
  CurvatureResult own_product(const ParameterVector& vector, const Cancellation& cancel);
  /// A micro-batch's slope; its product is added to the leaves' gradients.
  double add_product(const Batch& part, const ParameterVector& vector, std::vector<at::Tensor>& leaves, const Cancellation& cancel);

  std::shared_ptr<Model> model_;
  std::shared_ptr<const Batch> batch_;
  CurvatureOptions options_;
  std::shared_ptr<const Layout> whole_layout_;
  double scale_ = 1;
  std::vector<at::Tensor> weights_;  // over ranks, whole ones
  std::unique_ptr<curvature::Linearization> kept_;
  uint64_t kept_version_ = 0;        // of whole weights and linearization
  std::atomic<int64_t> bytes_{0};
};

}  // namespace critical_sharpness
