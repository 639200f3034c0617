#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>

#include <cmath>

#include "check.hpp"
#include "model.hpp"
#include "support.hpp"

using namespace critical_sharpness;
using namespace critical_sharpness::test;

namespace {

using Vector = std::shared_ptr<const ParameterVector>;
constexpr auto hessian = CurvatureOperator::hessian;
constexpr auto gauss_newton = CurvatureOperator::gauss_newton;

std::vector<double> numbers(const ParameterVector& vector) {
  std::vector<double> all;
  for (size_t i = 0; i < vector.size(); i++) {
    const int64_t n = at::empty(vector.layout()->parameters[i].shape).numel();
    const auto part = vector[i].defined() ? doubles_of(vector[i]) : std::vector<double>(static_cast<size_t>(n), 0.0);
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

Gpt2Description gpt2(bool tied, Activation activation) {
  Gpt2Description d;
  d.vocabulary_size = 19;
  d.context_length = 8;
  d.width = 12;
  d.layers = 2;
  d.heads = 3;
  d.inner_width = 20;
  d.tied = tied;
  d.activation = activation;
  return d;
}

/// (∇L(θ + hv) − ∇L(θ − hv)) / 2h
std::vector<double> difference_of_gradients(Model& model, const Batch& batch, const ParameterVector& v, double h) {
  const auto move = [&](double by) {
    auto& weights = model.weights_to_change();
    for (size_t i = 0; i < weights.size(); i++) weights[i].add_(v[i], by);
  };
  move(h);
  auto up = numbers(*model.gradient(batch, {}).gradient);
  move(-2 * h);
  const auto down = numbers(*model.gradient(batch, {}).gradient);
  move(h);
  for (size_t i = 0; i < up.size(); i++) up[i] = (up[i] - down[i]) / (2 * h);
  return up;
}

double distance_from_differences(Model model, const Batch& batch) {
  randomize(model, 4, 0.4);
  const Vector v = random_vector(model.layout(), 5);
  const auto product = model.curvature_product(batch, *v, hessian, {});
  CHECK_CLOSE(product.slope, v->dot(*model.gradient(batch, {}).gradient), 1e-12);
  return relative_distance(numbers(*product.product), difference_of_gradients(model, batch, *v, 1e-6));
}

}  // namespace

TEST("curvature: products are the differences of gradients, for every activation and loss") {
  for (const auto activation : {Activation::gelu, Activation::gelu_tanh, Activation::relu, Activation::tanh}) {
    for (const auto loss : {Loss::mse, Loss::cross_entropy}) {
      const auto batch = example_batch(7, 5, 3, loss, 2);
      CHECK(distance_from_differences({make_mlp({{5, 9, 8, 3}, activation, loss}), at::kDouble, at::kDouble}, *batch) < 1e-7);
    }
  }
}

TEST("curvature: products are the differences of gradients, for GPT-2") {
  const auto batch = token_batch(3, 7, 19, 2, 4);
  CHECK(distance_from_differences({make_gpt2(gpt2(true, Activation::gelu_tanh)), at::kDouble, at::kDouble}, *batch) < 1e-7);
  CHECK(distance_from_differences({make_gpt2(gpt2(false, Activation::gelu)), at::kDouble, at::kDouble}, *batch) < 1e-7);
}

TEST("curvature: many heads and rows, more than are worked on at once") {
  Gpt2Description d = gpt2(true, Activation::relu);
  d.context_length = 300;
  d.layers = 1;
  const auto batch = token_batch(3, 300, 19, 2, 5);
  CHECK(distance_from_differences({make_gpt2(d), at::kDouble, at::kDouble}, *batch) < 1e-7);
}

TEST("curvature: micro-batches add up, float32 is near float64, the same call gives the same bits") {
  const auto batch = token_batch(5, 7, 19, 2, 4);
  Model wide(make_gpt2(gpt2(true, Activation::gelu)), at::kDouble, at::kDouble);
  Model narrow(make_gpt2(gpt2(true, Activation::gelu)), at::kFloat, at::kFloat);
  randomize(wide, 4, 0.4);
  randomize(narrow, 4, 0.4);
  for (const auto curvature : {hessian, gauss_newton}) {
    const auto whole = wide.curvature_product(*batch, *random_vector(wide.layout(), 5), curvature, {});
    const auto parts = wide.curvature_product(*batch, *random_vector(wide.layout(), 5), curvature, {2, {}});
    CHECK(relative_distance(numbers(*parts.product), numbers(*whole.product)) < 1e-13);
    CHECK_CLOSE(parts.slope, whole.slope, 1e-13);
    const auto first = narrow.curvature_product(*batch, *random_vector(narrow.layout(), 5), curvature, {});
    const auto second = narrow.curvature_product(*batch, *random_vector(narrow.layout(), 5), curvature, {});
    CHECK(relative_distance(numbers(*first.product), numbers(*whole.product)) < 1e-5);
    for (size_t i = 0; i < first.product->size(); i++) CHECK(same_bits((*first.product)[i], (*second.product)[i]));
  }
}

TEST("curvature: both matrices are symmetric, Gauss–Newton's is nowhere negative") {
  const auto batch = token_batch(3, 7, 19, 2, 4);
  Model model(make_gpt2(gpt2(false, Activation::gelu)), at::kDouble, at::kDouble);
  randomize(model, 4, 0.4);
  const Vector a = random_vector(model.layout(), 5), b = random_vector(model.layout(), 6);
  for (const auto curvature : {hessian, gauss_newton}) {
    const Vector ca = model.curvature_product(*batch, *a, curvature, {}).product;
    const Vector cb = model.curvature_product(*batch, *b, curvature, {}).product;
    CHECK_CLOSE(a->dot(*cb) / b->dot(*ca), 1, 1e-10);
    if (curvature == gauss_newton) CHECK(a->dot(*ca) > 0 && b->dot(*cb) > 0);
  }
}

TEST("curvature: of a linear network both matrices are the same; 2XᵀX/n is one of them") {
  for (const auto loss : {Loss::mse, Loss::cross_entropy}) {
    Model model(make_mlp({{4, 3}, Activation::relu, loss}), at::kDouble, at::kDouble);
    randomize(model, 4, 0.4);
    const auto batch = example_batch(6, 4, 3, loss, 2);
    const Vector v = random_vector(model.layout(), 5);
    const Vector h = model.curvature_product(*batch, *v, hessian, {}).product;
    CHECK(relative_distance(numbers(*model.curvature_product(*batch, *v, gauss_newton, {}).product), numbers(*h)) < 1e-14);
    if (loss != Loss::mse) continue;
    // Of row o of the weight, with b its bias: 2/(n·out)·Xᵀ(Xv + b).
    const at::Tensor x = batch->inputs().to(at::kDouble), outputs = x.mm((*v)[0].t()).add((*v)[1]);
    const at::Tensor expected = outputs.t().mm(x).mul(2.0 / (6 * 3));
    CHECK(relative_distance(doubles_of((*h)[0]), doubles_of(expected)) < 1e-14);
  }
}

TEST("curvature: a direction that is zero in some parameters") {
  const auto batch = token_batch(3, 7, 19, 2, 4);
  Model model(make_gpt2(gpt2(true, Activation::gelu)), at::kDouble, at::kDouble);
  randomize(model, 4, 0.4);
  const Vector v = random_vector(model.layout(), 5);
  std::vector<double> sum;
  for (const bool odd : {false, true}) {
    std::vector<bool> keep;
    for (size_t i = 0; i < v->size(); i++) keep.push_back((i % 2 == 1) == odd);
    for (const auto curvature : {hessian}) {
      const auto part = numbers(*model.curvature_product(*batch, v->masked(keep), curvature, {}).product);
      if (sum.empty()) sum.resize(part.size(), 0.0);
      for (size_t i = 0; i < part.size(); i++) sum[i] += part[i];
    }
  }
  CHECK(relative_distance(sum, numbers(*model.curvature_product(*batch, *v, hessian, {}).product)) < 1e-13);
}

TEST("curvature: bfloat16, another model's vector and a cancelled call are errors") {
  const auto batch = example_batch(7, 5, 3, Loss::mse, 2);
  Model model(make_mlp({{5, 9, 3}, Activation::gelu, Loss::mse}), at::kFloat, at::kFloat);
  Model rounding(make_mlp({{5, 9, 3}, Activation::gelu, Loss::mse}), at::kFloat, at::kBFloat16);
  Model other(make_mlp({{5, 8, 3}, Activation::gelu, Loss::mse}), at::kFloat, at::kFloat);
  for (Model* each : {&model, &rounding, &other}) randomize(*each, 1, 0.5);
  const Vector v = random_vector(model.layout(), 5);
  CHECK_THROWS(rounding.curvature_product(*batch, *v, hessian, {}));
  CHECK_THROWS(other.curvature_product(*batch, *v, hessian, {}));
  PassOptions cancelled;
  cancelled.cancel.cancel();
  CHECK_THROWS(model.curvature_product(*batch, *v, hessian, cancelled));
  CHECK(model.curvature_product(*batch, *v, hessian, {}).product->norm() > 0);
}
