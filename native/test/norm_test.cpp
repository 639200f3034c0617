#include "norm.hpp"

#include <ATen/TensorOperators.h>

#include <cmath>

#include "check.hpp"
#include "kernels/norm.hpp"
#include "support.hpp"

using namespace critical_sharpness;
using namespace critical_sharpness::test;

namespace {

constexpr double epsilon = 0.05;

/// y = γ(x − μ)/√(mean((x − μ)²) + ε) + β, row by row.
std::vector<double> naive(const std::vector<double>& x, const std::vector<double>& w, const std::vector<double>& b,
                          bool centered) {
  std::vector<double> y;
  const size_t width = w.size();
  for (size_t at = 0; at < x.size(); at += width) {
    double mean = 0, square = 0;
    for (size_t i = 0; centered && i < width; i++) mean += x[at + i] / static_cast<double>(width);
    for (size_t i = 0; i < width; i++) square += std::pow(x[at + i] - mean, 2) / static_cast<double>(width);
    for (size_t i = 0; i < width; i++) y.push_back(w[i] * (x[at + i] - mean) / std::sqrt(square + epsilon) + b[i]);
  }
  return y;
}

}  // namespace

TEST("norm: both kinds against plain loops; a weight or bias that is missing is 1 or 0") {
  for (const bool centered : {true, false})
    for (const int64_t width : {1, 5, 40})
      for (const auto& [dtype, tolerance] : {std::pair{at::kDouble, 1e-13}, {at::kFloat, 3e-6}}) {
        const at::Tensor x = random_tensor({700, width}, dtype, 1);
        const at::Tensor w = random_tensor({width}, dtype, 2), b = random_tensor({width}, dtype, 3);
        const std::vector<double> ones(static_cast<size_t>(width), 1.0), zeros(static_cast<size_t>(width), 0.0);
        const auto whole = naive(doubles_of(x), doubles_of(w), doubles_of(b), centered);
        const auto bare = naive(doubles_of(x), ones, zeros, centered);
        const auto distance = [&](const at::Tensor& weight, const at::Tensor& bias, const std::vector<double>& expected) {
          return relative_distance(doubles_of(kernels::norm(x, weight, bias, epsilon, centered).output), expected);
        };
        CHECK_CLOSE(distance(w, b, whole), 0, tolerance);
        if (width > 1 || !centered) CHECK_CLOSE(distance({}, {}, bare), 0, tolerance);  // else both are 0
      }
}

TEST("norm: gradients are differences, in x, γ and β") {
  for (const bool centered : {true, false}) {
    const auto rows = [](uint64_t seed) { return random_tensor({900, 7}, at::kDouble, seed); };
    const auto vector = [](uint64_t seed) { return random_tensor({7}, at::kDouble, seed); };
    const at::Tensor x = rows(1), w = vector(2), b = vector(3), g = rows(4), dx = rows(5), dw = vector(6), db = vector(7);
    const auto made = kernels::norm(x, w, b, epsilon, centered);
    const auto into = kernels::norm_gradients(g, made.normalized, made.scale, w, centered);
    CHECK(same_bits(into.input, kernels::norm_gradient(g, made.normalized, made.scale, w, centered)));
    const auto value = [&](double h) {
      return (kernels::norm(x + dx * h, w + dw * h, b + db * h, epsilon, centered).output * g).sum().item<double>();
    };
    const double along = ((into.input * dx).sum() + (into.weight * dw).sum() + (into.bias * db).sum()).item<double>();
    CHECK_CLOSE(along, (value(1e-5) - value(-1e-5)) / 2e-5, 1e-6);
  }
}

TEST("norm: RMS norms of any shape are differentiated in both, with a weight or without") {
  at::Tensor x = random_tensor({3, 5, 2, 4}, at::kDouble, 1).requires_grad_(true);
  at::Tensor w = random_tensor({4}, at::kDouble, 2).requires_grad_(true);
  const at::Tensor g = random_tensor({3, 5, 2, 4}, at::kDouble, 3);
  (rms_norm(x, w, epsilon) * g).sum().backward();
  const at::Tensor rows = x.detach().reshape({-1, 4}), into_rows = g.reshape({-1, 4});
  const auto made = kernels::norm(rows, w.detach(), {}, epsilon, false);
  const auto into = kernels::norm_gradients(into_rows, made.normalized, made.scale, w.detach(), false);
  CHECK(same_bits(x.grad().reshape({-1, 4}), into.input));
  CHECK(same_bits(w.grad(), into.weight));
  CHECK(same_bits(rms_norm(x.detach(), w.detach(), epsilon), made.output.reshape({3, 5, 2, 4})));
  at::Tensor alone = x.detach().clone().requires_grad_(true);
  (rms_norm(alone, {}, epsilon) * g).sum().backward();
  const auto bare = kernels::norm(rows, {}, {}, epsilon, false);
  const at::Tensor expected = kernels::norm_gradient(into_rows, bare.normalized, bare.scale, {}, false);
  CHECK(same_bits(alone.grad().reshape({-1, 4}), expected));
}
