#include "check.hpp"
#include "naive.hpp"
#include "support.hpp"

using namespace critical_sharpness;
using namespace critical_sharpness::test;

namespace {

struct Case {
  MlpDescription description;
  std::shared_ptr<const Batch> batch;
  Model model;
  NaiveLoss naive;

  Case(MlpDescription d, at::ScalarType dtype, at::ScalarType compute, int64_t rows = 9)
      : description(std::move(d)),
        batch(example_batch(rows, description.layer_sizes.front(), description.layer_sizes.back(), description.loss, 1)),
        model(make_mlp(description), dtype, compute),
        naive(naive_mlp(description, *batch)) {
    randomize(model, 2, 0.7);
  }
};

/// Every activation with every loss, and networks of one, two and three layers.
std::vector<MlpDescription> descriptions() {
  std::vector<MlpDescription> all;
  for (const auto loss : {Loss::mse, Loss::cross_entropy}) {
    for (const auto activation : {Activation::gelu, Activation::relu, Activation::tanh})
      all.push_back({{5, 7, 6, 3}, activation, loss});
    all.push_back({{4, 3}, Activation::gelu, loss});
    all.push_back({{1, 2, 2}, Activation::tanh, loss});
  }
  return all;
}

}  // namespace

TEST("mlp: loss against plain loops, in float64, float32 and bfloat16") {
  for (const auto& d : descriptions()) {
    Case f64(d, at::kDouble, at::kDouble), f32(d, at::kFloat, at::kFloat), bf16(d, at::kFloat, at::kBFloat16);
    const double exact = f64.naive(naive_weights(f64.model));
    CHECK_CLOSE(f64.model.loss(*f64.batch, nullptr, {}).loss, exact, 1e-14 * (1 + exact));
    CHECK_CLOSE(f32.model.loss(*f32.batch, nullptr, {}).loss, f32.naive(naive_weights(f32.model)), 2e-6 * (1 + exact));
    CHECK_CLOSE(bf16.model.loss(*bf16.batch, nullptr, {}).loss, exact, 3e-2 * (1 + exact));
  }
}

TEST("mlp: gradient against central differences of plain loops") {
  for (const auto& d : descriptions()) {
    Case f64(d, at::kDouble, at::kDouble), f32(d, at::kFloat, at::kFloat), bf16(d, at::kFloat, at::kBFloat16);
    const auto exact = naive_gradient(f64.naive, f64.model);
    const auto double_precision = f64.model.gradient(*f64.batch, {});
    CHECK_CLOSE(relative_distance(flat(*double_precision.gradient), exact), 0, 1e-8);
    CHECK_CLOSE(double_precision.loss, f64.model.loss(*f64.batch, nullptr, {}).loss, 0);
    CHECK_CLOSE(relative_distance(flat(*f32.model.gradient(*f32.batch, {}).gradient), exact), 0, 1e-6);
    CHECK_CLOSE(relative_distance(flat(*bf16.model.gradient(*bf16.batch, {}).gradient), exact), 0, 8e-2);
  }
}

TEST("mlp: the loss of θ − ηΔ against plain loops, the same bits in both modes, in every dtype") {
  for (const auto& d : descriptions())
    for (const auto& [dtype, compute, tolerance] :
         {std::tuple{at::kDouble, at::kDouble, 1e-13}, {at::kFloat, at::kFloat, 3e-6}, {at::kFloat, at::kBFloat16, 5e-2}}) {
      Case c(d, dtype, compute);
      const auto before = copy_weights(c.model);
      const auto direction = random_vector(c.model.layout(), 3, 0.5);
      for (const double learning_rate : {0.3, -0.1, 0.0}) {
        Perturbation perturbation{direction, learning_rate, PerturbationMode::view};
        const double view = c.model.loss(*c.batch, &perturbation, {}).loss;
        perturbation.mode = PerturbationMode::in_place;
        const double in_place = c.model.loss(*c.batch, &perturbation, {}).loss;
        const double exact = c.naive(naive_moved(c.model, *direction, learning_rate));
        CHECK_CLOSE(view, exact, tolerance * (1 + exact));
        CHECK_CLOSE(in_place, view, 0);
        CHECK(same_weights(c.model, before));
      }
    }
}

TEST("mlp: micro-batches of every size give the same loss and gradient") {
  for (const auto loss : {Loss::mse, Loss::cross_entropy}) {
    Case c({{5, 8, 3}, Activation::gelu, loss}, at::kDouble, at::kDouble, 10);
    const double whole = c.model.loss(*c.batch, nullptr, {}).loss;
    const auto gradient = flat(*c.model.gradient(*c.batch, {}).gradient);
    for (const int64_t size : {1, 3, 9, 10, 11, 1'000'000}) {
      PassOptions options;
      options.micro_batch = size;
      CHECK_CLOSE(c.model.loss(*c.batch, nullptr, options).loss, whole, 1e-15 * (1 + whole));
      const auto parts = c.model.gradient(*c.batch, options);
      CHECK_CLOSE(parts.loss, whole, 1e-15 * (1 + whole));
      CHECK_CLOSE(relative_distance(flat(*parts.gradient), gradient), 0, 1e-14);
    }
  }
}

TEST("mlp: a parameter that no output depends on has gradient zero") {
  // ReLU units that are off: their weights move nothing.
  Case c({{2, 3, 1}, Activation::relu, Loss::mse}, at::kDouble, at::kDouble);
  c.model.weights_to_change()[0].fill_(0);
  c.model.weights_to_change()[1].fill_(-1);
  const auto gradient = c.model.gradient(*c.batch, {}).gradient;
  for (const double g : doubles_of((*gradient)[0])) CHECK(g == 0);
  for (const double g : doubles_of((*gradient)[2])) CHECK(g == 0);
  CHECK((*gradient)[3].item<double>() != 0);
}

TEST("mlp: overflow and NaN come out as a loss that is not finite, and the weights stay") {
  for (const auto loss : {Loss::mse, Loss::cross_entropy}) {
    Case c({{5, 8, 3}, Activation::relu, loss}, at::kFloat, at::kFloat);
    const auto before = copy_weights(c.model);
    const auto direction = random_vector(c.model.layout(), 4);
    for (const auto mode : {PerturbationMode::view, PerturbationMode::in_place}) {
      const Perturbation perturbation{direction, 1e38, mode};
      CHECK(!std::isfinite(c.model.loss(*c.batch, &perturbation, {}).loss));
      CHECK(same_weights(c.model, before));
    }
  }
}
