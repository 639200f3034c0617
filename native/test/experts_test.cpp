#include "experts.hpp"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/softmax.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "check.hpp"
#include "support.hpp"

using namespace critical_sharpness;
using namespace critical_sharpness::test;

namespace {

constexpr int64_t tokens = 300, count = 7, chosen = 3, width = 20;

struct Threads {
  int before = at::get_num_threads();
  explicit Threads(int number) { at::set_num_threads(number); }
  ~Threads() { at::set_num_threads(before); }
};

/// Σ over each token's experts e of weight·(e + 1)·x, as if an expert multiplied by its number: sorted, and token by token.
at::Tensor sorted_sum(const at::Tensor& x, const Routing& routing) {
  const Dispatch dispatch(routing.experts, count);
  const at::Tensor rows = dispatch.rows_of(x);
  std::vector<at::Tensor> scaled;
  const auto parts = rows.split_with_sizes(dispatch.counts());
  for (size_t e = 0; e < parts.size(); e++) scaled.push_back(parts[e] * static_cast<double>(e + 1));
  return combine(routing.weights, at::cat(scaled), dispatch);
}

std::vector<double> naive_sum(const at::Tensor& x, const Routing& routing) {
  const auto values = doubles_of(x), weights = doubles_of(routing.weights), experts = doubles_of(routing.experts.to(at::kDouble));
  std::vector<double> sums(values.size());
  for (size_t t = 0; t < static_cast<size_t>(tokens); t++)
    for (size_t k = 0; k < static_cast<size_t>(chosen); k++)
      for (size_t i = 0; i < static_cast<size_t>(width); i++)
        sums[t * width + i] += weights[t * chosen + k] * (experts[t * chosen + k] + 1) * values[t * width + i];
  return sums;
}

}  // namespace

TEST("experts: a token's are those of the largest probability, which weights them") {
  const at::Tensor logits = random_tensor({tokens, count}, at::kDouble, 1, 3);
  const auto z = doubles_of(logits);
  for (const bool normalized : {false, true}) {
    const Routing routing = route(logits, {chosen, normalized});
    std::vector<double> expected;
    for (size_t t = 0; t < static_cast<size_t>(tokens); t++) {
      std::vector<double> p;
      double sum = 0, of_chosen = 0;
      for (size_t e = 0; e < static_cast<size_t>(count); e++) sum += p.emplace_back(std::exp(z[t * count + e]));
      std::ranges::sort(p, std::greater());
      for (size_t k = 0; k < static_cast<size_t>(chosen); k++) of_chosen += p[k];
      for (size_t k = 0; k < static_cast<size_t>(chosen); k++) expected.push_back(p[k] / (normalized ? of_chosen : sum));
    }
    CHECK_CLOSE(relative_distance(doubles_of(routing.weights), expected), 0, 1e-15);
    const auto weights = doubles_of(at::softmax(logits, 1).gather(1, routing.experts));
    if (!normalized) CHECK_CLOSE(relative_distance(weights, expected), 0, 1e-15);
  }
}

TEST("experts: rows go to their experts and come back, also where some have none; the bits depend on no thread") {
  for (const double spread : {3.0, 0.0}) {  // 0: all tokens take the same ones
    const at::Tensor x = random_tensor({tokens, width}, at::kFloat, 2);
    const Routing routing = route(random_tensor({tokens, count}, at::kFloat, 1, spread), {chosen, true});
    at::Tensor one, gradient;
    for (const int threads : {1, 2, 3}) {
      const Threads some(threads);
      const at::Tensor leaf = x.clone().requires_grad_(true), weights = routing.weights.clone().requires_grad_(true);
      const at::Tensor sum = sorted_sum(leaf, {weights, routing.experts});
      sum.square().sum().backward();
      CHECK_CLOSE(relative_distance(doubles_of(sum.detach()), naive_sum(x, routing)), 0, 1e-6);
      CHECK(same_bits(sum.detach(), sorted_sum(x, routing)));
      CHECK(!one.defined() || (same_bits(one, sum.detach()) && same_bits(gradient, leaf.grad())));
      one = sum.detach();
      gradient = leaf.grad();
    }
  }
}
