#include "attention.hpp"

#include <ATen/TensorOperators.h>

#include <algorithm>
#include <cmath>

#include "check.hpp"
#include "support.hpp"

using namespace critical_sharpness;
using namespace critical_sharpness::test;

namespace {

struct Case {
  int64_t few, window;
  double cap;
};
constexpr int64_t batch = 2, length = 6, heads = 4, size = 3;
constexpr double scale = 0.7;

/// One query's output, with plain loops.
std::vector<double> naive(const std::vector<double>& q, const std::vector<double>& k, const std::vector<double>& v,
                          const Case& c, int64_t b, int64_t t, int64_t head) {
  const int64_t served = head / (heads / c.few), first = c.window > 0 ? std::max<int64_t>(0, t - c.window + 1) : 0;
  const auto at = [](int64_t row, int64_t of, int64_t among) { return static_cast<size_t>((row * among + of) * size); };
  std::vector<double> out(size, 0.0);
  double sum = 0;
  for (int64_t s = first; s <= t; s++) {
    double score = 0;
    for (size_t i = 0; i < size; i++)
      score += scale * q[at(b * length + t, head, heads) + i] * k[at(b * length + s, served, c.few) + i];
    if (c.cap > 0) score = c.cap * std::tanh(score / c.cap);
    sum += std::exp(score);
    for (size_t i = 0; i < size; i++) out[i] += std::exp(score) * v[at(b * length + s, served, c.few) + i];
  }
  for (double& o : out) o /= sum;
  return out;
}

}  // namespace

TEST("attention: grouped heads, windows and caps against plain loops") {
  for (const Case& c : {Case{4, 0, 0}, {2, 0, 0}, {1, 3, 0}, {4, 1, 0}, {2, 2, 0.5}, {4, 0, 2}, {4, 9, 0}})
    for (const auto& [dtype, tolerance] : {std::pair{at::kDouble, 1e-14}, {at::kFloat, 1e-6}, {at::kBFloat16, 3e-2}}) {
      const at::Tensor q = random_tensor({batch, length, heads, size}, dtype, 1, 2);
      const at::Tensor k = random_tensor({batch, length, c.few, size}, dtype, 2, 2);
      const at::Tensor v = random_tensor({batch, length, c.few, size}, dtype, 3);
      Attention how{scale, c.cap, {}};
      if (c.window > 0) how.mask = window_mask(length, c.window, dtype);
      const auto out = doubles_of(attend(q, k, v, how)), qs = doubles_of(q), ks = doubles_of(k), vs = doubles_of(v);
      for (int64_t row = 0; row < batch * length * heads; row++) {
        const auto expected = naive(qs, ks, vs, c, row / heads / length, row / heads % length, row % heads);
        for (size_t i = 0; i < size; i++) CHECK_CLOSE(out[static_cast<size_t>(row * size) + i], expected[i], tolerance);
      }
    }
}

TEST("attention: with a cap, the gradient is the difference of outputs") {
  const auto draw = [](int64_t few, uint64_t seed) {
    return random_tensor({batch, length, few, size}, at::kDouble, seed, 2);
  };
  const Attention how{scale, 0.5, window_mask(length, 3, at::kDouble)};
  const at::Tensor q = draw(heads, 1), k = draw(2, 2), v = draw(2, 3), dq = draw(heads, 4), dk = draw(2, 5), dv = draw(2, 6);
  const at::Tensor g = random_tensor({batch * length, heads * size}, at::kDouble, 7);
  at::Tensor leaves[] = {q.clone().requires_grad_(true), k.clone().requires_grad_(true), v.clone().requires_grad_(true)};
  (attend(leaves[0], leaves[1], leaves[2], how) * g).sum().backward();
  const double along = (leaves[0].grad() * dq).sum().item<double>() + (leaves[1].grad() * dk).sum().item<double>() +
                       (leaves[2].grad() * dv).sum().item<double>();
  const auto value = [&](double h) { return (attend(q + dq * h, k + dk * h, v + dv * h, how) * g).sum().item<double>(); };
  CHECK_CLOSE(along, (value(1e-6) - value(-1e-6)) / 2e-6, 1e-7);
}
