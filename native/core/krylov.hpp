#pragma once
#include <atomic>
#include <memory>
#include <utility>
#include <vector>

#include "curvature/curvature.hpp"
#include "kernels/basis.hpp"
#include "vector_algebra.hpp"

namespace critical_sharpness {

struct KrylovOptions {
  SharedVector scaling;  // S, a diagonal: the operator is S·curvature·S; none = 1
  uint64_t seed = 0;     // of vectors that are drawn
};

/// What a step found out: A·q = Σ coefficientᵢ·qᵢ + β·(the next vector), q the basis' last vector until then.
struct KrylovStep {
  std::vector<double> coefficients;
  double beta = 0;
  bool exhausted = false;  // the basis spans the whole space: there is no next vector
  uint64_t version = 0;
};

/// An orthonormal basis of parameter vectors, each made of the one before by a curvature.
/// Every member that computes is called on the compute thread only. Over ranks each keeps its part of every vector.
class Krylov {
 public:
  Krylov(std::shared_ptr<Curvature> curvature, KrylovOptions options);

  const std::shared_ptr<const Layout>& layout() const { return curvature_->model()->layout(); }
  /// Vectors of the basis. As the next, it may be read from any thread.
  size_t size() const { return size_.load(); }
  /// Bytes of the vectors, and of what the curvature keeps between products.
  int64_t byte_length() const {
    const auto vectors = static_cast<int64_t>(size() + (options_.scaling ? 1 : 0));
    return vectors * numbers_here_ * static_cast<int64_t>(c10::elementSize(layout()->dtype)) + curvature_->byte_length();
  }

  /// A basis of one vector: `first`, or a random one. Returns false if `first` is zero or not finite.
  bool start(const ParameterVector* first);
  /// One product, orthogonalised against the whole basis, twice. A step that throws leaves the basis as it was.
  KrylovStep step(const Cancellation& cancel);
  /// Keeps `kept` combinations of all vectors but the last, and the last after them.
  void restart(size_t kept, const std::vector<double>& combination);
  /// Σ coefficientᵢ·qᵢ over the first vectors.
  ParameterVector combination(const std::vector<double>& coefficients) const;

 private:
  struct Orthogonalized {
    std::vector<double> coefficients;
    double norm_before = 0, norm = 0;
  };
  bool own_start(const ParameterVector* first);
  KrylovStep own_step(const Cancellation& cancel);
  Orthogonalized orthogonalize(const std::vector<at::Tensor>& w) const;
  std::vector<double> subtract_and_project(const std::vector<at::Tensor>& w, const std::vector<double>& subtract, bool project) const;
  /// S·curvature·S·q, in tensors of its own, and the version of the weights.
  std::pair<std::vector<at::Tensor>, uint64_t> apply(const std::vector<at::Tensor>& q, const Cancellation& cancel) const;
  bool append(std::vector<at::Tensor> w, double norm);
  std::vector<at::Tensor> draw();
  /// A vector's tensors of the trainable parameters, zeros where it has none; and a vector of such.
  std::vector<at::Tensor> dense(const ParameterVector& vector, bool copy) const;
  ParameterVector vector(const std::vector<at::Tensor>& tensors) const;

  std::shared_ptr<Curvature> curvature_;
  KrylovOptions options_;
  std::vector<size_t> trainable_;
  kernels::Basis basis_;  // of the trainable parameters
  std::atomic<size_t> size_{0};
  int64_t dimension_ = 0, numbers_here_ = 0;
  uint64_t drawn_ = 0;
};

}  // namespace critical_sharpness
