#include "krylov.hpp"

#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>

#include <cmath>
#include <limits>

#include "errors.hpp"
#include "ranks/group.hpp"
#include "ranks/sums.hpp"

namespace critical_sharpness {
namespace {

double epsilon_of(at::ScalarType dtype) {
  return dtype == at::kDouble ? std::numeric_limits<double>::epsilon() : std::numeric_limits<float>::epsilon();
}

}  // namespace

Krylov::Krylov(std::shared_ptr<Curvature> curvature, KrylovOptions options)
    : curvature_(std::move(curvature)), options_(std::move(options)) {
  if (options_.scaling) require_same_layout(*layout(), *options_.scaling->layout(), "the scaling");
  for (size_t i = 0; i < layout()->size(); i++) {
    if (!layout()->is_trainable(i)) continue;
    trainable_.push_back(i);
    dimension_ += layout()->parameters[i].numel();
    numbers_here_ += layout()->local_numel(i);
  }
}

std::vector<at::Tensor> Krylov::dense(const ParameterVector& vector, bool copy) const {
  std::vector<at::Tensor> tensors;
  for (const size_t i : trainable_) {
    const at::Tensor& t = vector[i];
    if (t.defined()) tensors.push_back(copy ? t.clone() : t);
    else tensors.push_back(at::zeros(layout()->local_shape(i), layout()->options()));
  }
  return tensors;
}

ParameterVector Krylov::vector(const std::vector<at::Tensor>& tensors) const {
  std::vector<at::Tensor> all(layout()->size());
  for (size_t k = 0; k < trainable_.size(); k++) all[trainable_[k]] = tensors[k];
  return {layout(), std::move(all)};
}

bool Krylov::start(const ParameterVector* first) {
  if (first) require_same_layout(*layout(), *first->layout(), "the first vector");
  return together(layout()->group.get(), {"krylov start", {}}, {}, [&] { return own_start(first); });
}

bool Krylov::own_start(const ParameterVector* first) {
  auto q = first ? dense(*first, /*copy=*/true) : draw();
  basis_.clear();
  size_ = 0;
  const double norm = orthogonalize(q).norm;  // first: the order of arguments is the compiler's
  return append(std::move(q), norm);
}

std::vector<at::Tensor> Krylov::draw() {
  return dense(random_vector(layout(), Distribution::normal, options_.seed + drawn_++), /*copy=*/false);
}

bool Krylov::append(std::vector<at::Tensor> w, double norm) {
  if (!(norm > 0) || !std::isfinite(norm)) return false;
  for (auto& t : w) t.mul_(1 / norm);
  basis_.push_back(std::move(w));
  size_ = basis_.size();
  return true;
}

std::pair<std::vector<at::Tensor>, uint64_t> Krylov::apply(const std::vector<at::Tensor>& q, const Cancellation& cancel) const {
  const ParameterVector plain = vector(q);
  const CurvatureResult result =
      curvature_->product(options_.scaling ? elementwise_product(*options_.scaling, plain) : plain, cancel);
  auto w = dense(*result.product, /*copy=*/false);  // nobody else's, so that it may be written to
  if (options_.scaling)
    for (size_t k = 0; k < w.size(); k++) w[k].mul_((*options_.scaling)[trainable_[k]]);
  return {std::move(w), result.version};
}

std::vector<double> Krylov::subtract_and_project(const std::vector<at::Tensor>& w, const std::vector<double>& subtract, bool project) const {
  if (!layout()->group) return kernels::subtract_and_project(basis_, w, subtract, project);
  return total(*layout(), trainable_, (project ? basis_.size() : 0) + 1,
               kernels::subtract_and_project_chunks(basis_, w, subtract, project));
}

Krylov::Orthogonalized Krylov::orthogonalize(const std::vector<at::Tensor>& w) const {
  std::vector<double> first = subtract_and_project(w, {}, true);
  const double before = std::sqrt(first.back());
  first.pop_back();
  if (first.empty()) return {{}, before, before};
  std::vector<double> second = subtract_and_project(w, first, true);
  second.pop_back();
  const double norm = std::sqrt(subtract_and_project(w, second, false).back());
  for (size_t j = 0; j < first.size(); j++) first[j] += second[j];
  return {std::move(first), before, norm};
}

KrylovStep Krylov::step(const Cancellation& cancel) {
  if (basis_.empty())
    throw InputError(InputError::Kind::state, "ERR_OUT_OF_RANGE", "Expected a basis that was started for a step but received an empty one");
  return together(layout()->group.get(), {"krylov step", {}}, {}, [&] { return own_step(cancel); });
}

KrylovStep Krylov::own_step(const Cancellation& cancel) {
  KrylovStep step;
  auto [w, version] = apply(basis_.back(), cancel);
  step.version = version;
  auto made = orthogonalize(w);
  step.coefficients = std::move(made.coefficients);
  if (!std::isfinite(made.norm_before) || static_cast<int64_t>(basis_.size()) >= dimension_) {
    step.exhausted = true;
    step.beta = std::isfinite(made.norm_before) ? 0 : made.norm_before;
    return step;
  }
  if (made.norm > 10 * epsilon_of(layout()->dtype) * made.norm_before) {
    step.beta = made.norm;
    append(std::move(w), made.norm);
    return step;
  }
  // The basis spans an invariant subspace: go on with whatever is orthogonal to it.
  for (int attempt = 0; attempt < 3; attempt++) {
    auto fresh = draw();
    const auto [ignored, before, norm] = orthogonalize(fresh);
    if (norm > 1e-3 * before / std::sqrt(static_cast<double>(dimension_)) && append(std::move(fresh), norm)) return step;
  }
  step.exhausted = true;
  return step;
}

void Krylov::restart(size_t kept, const std::vector<double>& combination) {
  if (basis_.size() < 2 || kept < 1 || kept >= basis_.size() || combination.size() != kept * (basis_.size() - 1))
    reject_range("Expected as many combinations as vectors to keep, each of the basis' " +
                 std::to_string(basis_.empty() ? 0 : basis_.size() - 1) + " vectors before its last, but received " +
                 std::to_string(combination.size()) + " numbers for " + std::to_string(kept));
  auto last = std::move(basis_.back());
  basis_.pop_back();
  kernels::rotate(basis_, combination, kept);
  basis_.resize(kept);
  basis_.push_back(std::move(last));
  size_ = basis_.size();
}

ParameterVector Krylov::combination(const std::vector<double>& coefficients) const {
  if (coefficients.empty() || coefficients.size() > basis_.size())
    reject_range("Expected 1 to " + std::to_string(basis_.size()) + " coefficients for a combination of the basis but received " +
                 std::to_string(coefficients.size()));
  std::vector<at::Tensor> out;
  for (const auto& t : basis_.front()) out.push_back(at::empty_like(t));
  const auto last = basis_.begin() + static_cast<std::ptrdiff_t>(coefficients.size());
  kernels::combine(out, kernels::Basis(basis_.begin(), last), coefficients);
  return vector(out);
}

}  // namespace critical_sharpness
