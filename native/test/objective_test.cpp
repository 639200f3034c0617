// Objectives against definitions written out term by term, and their derivatives against differences.
#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <cmath>

#include "check.hpp"
#include "curvature/curvature.hpp"
#include "decoder_description.hpp"
#include "gpt2.hpp"
#include "objective/terms.hpp"
#include "support.hpp"
#include "vector_algebra.hpp"

using namespace critical_sharpness;
using namespace critical_sharpness::test;

namespace {

using SharedBatch = std::shared_ptr<const Batch>;
using SharedModel = std::shared_ptr<Model>;

std::unique_ptr<Network> small_gpt2(bool tied) {
  Gpt2Description d;
  d.vocabulary_size = 17;
  d.context_length = 8;
  d.width = 8;
  d.layers = 2;
  d.heads = 2;
  d.inner_width = 16;
  d.tied = tied;
  return make_gpt2(d);
}

at::Tensor doubles(at::IntArrayRef shape, uint64_t seed, double scale) { return random_tensor(shape, at::kDouble, seed, scale); }

/// Each row of tokens as a batch of its own: its mean loss times its count is the sum of its terms.
double row_sum(Model& model, const Batch& batch, int64_t row) {
  const auto one = batch.part(row, 1);
  return one->count() == 0 ? 0 : model.loss(*one, nullptr, {}).loss * static_cast<double>(one->count());
}

SharedModel filled(std::unique_ptr<Network> network) {
  auto model = std::make_shared<Model>(std::move(network), at::kDouble, at::kDouble);
  randomize(*model, 5, 0.6);
  return model;
}

struct Case {
  SharedModel model;
  SharedBatch batch;
};

/// Batches with objectives, negative weights among them, and a language model or perceptron for each.
std::vector<Case> cases() {
  std::vector<Case> all;
  const auto tokens = token_batch(4, 6, 17, 3, 5);
  const at::Tensor advantages = doubles({4, 6}, 7, 2);
  const at::Tensor reference = doubles({4}, 8, 3);
  for (const bool tied : {false, true}) {
    const auto model = filled(small_gpt2(tied));
    all.push_back({model, tokens->weighted(advantages)});
    all.push_back({model, tokens->preferences(reference, {0.3, 0.1})});
  }
  for (const Loss loss : {Loss::mse, Loss::cross_entropy})
    all.push_back({filled(make_mlp({{5, 9, 3}, Activation::tanh, loss})), example_batch(4, 5, 3, loss, 2)->weighted(doubles({4}, 9, 1))});
  return all;
}

/// Largest |a − b| over the numbers, relative to the largest |b|.
double distance(const ParameterVector& a, const ParameterVector& b) {
  double most = 0, scale = 0;
  for (size_t i = 0; i < a.size(); i++) {
    const at::Tensor zero = at::zeros_like(b[i].defined() ? b[i] : a[i]);
    const at::Tensor &x = a[i].defined() ? a[i] : zero, &y = b[i].defined() ? b[i] : zero;
    most = std::max(most, (x - y).abs().max().item<double>());
    scale = std::max(scale, y.abs().max().item<double>());
  }
  return most / scale;
}

std::shared_ptr<const ParameterVector> gradient_at(Model& model, const Batch& batch, const ParameterVector& v, double eta) {
  const auto before = copy_weights(model);
  model.step(v, eta);
  const auto gradient = model.gradient(batch, {}).gradient;
  for (size_t i = 0; i < before.size(); i++) model.weights_to_change()[i].copy_(before[i]);
  return gradient;
}

}  // namespace

TEST("objectives: weights are Σ w·loss over Σ|w|, of labels that count alone") {
  const auto model = filled(small_gpt2(true));
  const auto batch = token_batch(3, 5, 17, 4, 4);
  const at::Tensor weights = doubles({3, 1}, 6, 2).expand({3, 5}).contiguous();
  double sum = 0, all = 0;
  for (int64_t row = 0; row < 3; row++) {
    const double w = weights[row][0].item<double>();
    sum += w * row_sum(*model, *batch, row);
    all += std::abs(w) * static_cast<double>(batch->part(row, 1)->count());
  }
  CHECK_CLOSE(model->loss(*batch->weighted(weights), nullptr, {}).loss, sum / all, 1e-12);
  const auto ones = batch->weighted(at::ones({3, 5}, at::kDouble));
  CHECK_CLOSE(model->loss(*ones, nullptr, {}).loss, model->loss(*batch, nullptr, {}).loss, 1e-14);
  CHECK_CODE(batch->weighted(at::zeros({3, 5}, at::kDouble)), "ERR_OUT_OF_RANGE");
  CHECK_CODE(batch->weighted(at::full({3, 5}, NAN, at::kDouble)), "ERR_OUT_OF_RANGE");
  CHECK_CODE(batch->weighted(at::ones({3}, at::kDouble)), "ERR_OUT_OF_RANGE");
}

TEST("objectives: preferences are −log σ of the margin, a mean over pairs") {
  const auto model = filled(small_gpt2(false));
  const auto batch = token_batch(4, 6, 17, 3, 5);
  const at::Tensor reference = doubles({4}, 8, 3);
  for (const double smoothing : {0.0, 0.2}) {
    const double beta = 0.4;
    double expected = 0;
    for (int64_t pair = 0; pair < 2; pair++) {
      const auto log_ratio = [&](int64_t row) { return -row_sum(*model, *batch, row) - reference[row].item<double>(); };
      const double margin = beta * (log_ratio(2 * pair) - log_ratio(2 * pair + 1));
      expected += (1 - smoothing) * std::log1p(std::exp(-margin)) + smoothing * std::log1p(std::exp(margin));
    }
    const auto preferences = batch->preferences(reference, {beta, smoothing});
    CHECK_CLOSE(model->loss(*preferences, nullptr, {}).loss, expected / 2, 1e-12);
    // Pairs stay together, whatever the micro-batch.
    for (const int64_t micro_batch : {1, 2, 3})
      CHECK_CLOSE(model->loss(*preferences, nullptr, {.micro_batch = micro_batch}).loss, expected / 2, 1e-12);
    CHECK_CODE(preferences->part(1, 2), "ERR_OUT_OF_RANGE");
    CHECK(preferences->part(2, 2)->rows() == 2);
  }
  CHECK_CODE(token_batch(3, 4, 17, 1)->preferences(at::zeros({3}, at::kDouble), {}), "ERR_OUT_OF_RANGE");
}

TEST("objectives: gradients and Hessian products agree with differences, micro-batches or not") {
  for (const auto& [model, batch] : cases()) {
    const auto v = random_vector(model->layout(), 11);
    const double h = 1e-5;
    const auto loss_at = [&](double eta) {
      const Perturbation moved{v, eta, PerturbationMode::view};
      return model->loss(*batch, &moved, {}).loss;
    };
    const auto gradient = model->gradient(*batch, {}).gradient;
    CHECK_CLOSE(gradient->dot(*v), (loss_at(-h) - loss_at(h)) / (2 * h), 1e-7);
    CHECK(distance(*model->gradient(*batch, {.micro_batch = 2}).gradient, *gradient) < 1e-13);

    const ParameterVector differences =
        linear_combination({gradient_at(*model, *batch, *v, -h), gradient_at(*model, *batch, *v, h)}, {1 / (2 * h), -1 / (2 * h)});
    for (const int64_t micro_batch : {0, 2}) {
      Curvature curvature(model, batch, {.micro_batch = micro_batch});
      const auto result = curvature.product(*v, {});
      CHECK(distance(*result.product, differences) < 1e-6);
      CHECK_CLOSE(result.slope, gradient->dot(*v), 1e-12);
    }
    CHECK_CODE(Curvature(model, batch, {.kind = curvature::Operator::gauss_newton}), "ERR_OUT_OF_RANGE");
  }
}

TEST("objectives: positive weights have a Gauss–Newton matrix, that of the weighted rows") {
  const auto model = filled(make_mlp({{5, 9, 3}, Activation::tanh, Loss::cross_entropy}));
  const auto batch = example_batch(2, 5, 3, Loss::cross_entropy, 2);
  const auto v = random_vector(model->layout(), 11);
  const auto product = [&](const SharedBatch& of) {
    return Curvature(model, of, {.kind = curvature::Operator::gauss_newton}).product(*v, {}).product;
  };
  const auto whole = product(batch->weighted(tensor_of(std::vector<double>{3, 1})));
  const ParameterVector parts = linear_combination({product(batch->part(0, 1)), product(batch->part(1, 1))}, {0.75, 0.25});
  CHECK(distance(*whole, parts) < 1e-13);
}

TEST("objectives: a batch's digest tells them apart, and not by what was found out of it before") {
  const auto batch = token_batch(4, 5, 17, 3);
  const auto weights = [](uint64_t seed) { return random_tensor({4, 5}, at::kDouble, seed).abs().add_(0.1); };
  const at::Tensor reference = doubles({4}, 3, 1);
  const std::vector<uint64_t> digests{batch->digest(), batch->weighted(weights(1))->digest(), batch->weighted(weights(2))->digest(),
                                      batch->preferences(reference, {})->digest(), batch->preferences(reference, {.beta = 0.2})->digest(),
                                      batch->preferences(doubles({4}, 4, 1), {})->digest()};
  for (size_t a = 0; a < digests.size(); a++)
    for (size_t b = 0; b < a; b++) CHECK(digests[a] != digests[b]);
  CHECK(batch->weighted(weights(1))->digest() == digests[1]);
}
