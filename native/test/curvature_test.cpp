#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>

#include <cmath>

#include "check.hpp"
#include "curvature/curvature.hpp"
#include "gpt2.hpp"
#include "support.hpp"

using namespace critical_sharpness;
using namespace critical_sharpness::test;

namespace {

using Vector = std::shared_ptr<const ParameterVector>;
constexpr auto hessian = curvature::Operator::hessian;
constexpr auto gauss_newton = curvature::Operator::gauss_newton;

using SharedModel = std::shared_ptr<Model>;
using SharedBatch = std::shared_ptr<const Batch>;

CurvatureResult product_of(const SharedModel& model, const SharedBatch& batch, const ParameterVector& v, curvature::Operator kind,
                           int64_t micro_batch = 0) {
  return Curvature(model, batch, {kind, micro_batch, false}).product(v, {});
}
SharedModel make(std::unique_ptr<Network> architecture, at::ScalarType dtype, at::ScalarType compute) {
  auto model = std::make_shared<Model>(std::move(architecture), dtype, compute);
  randomize(*model, 4, 0.4);
  return model;
}
SharedModel make(std::unique_ptr<Network> architecture, at::ScalarType dtype = at::kDouble) {
  return make(std::move(architecture), dtype, dtype);
}

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

double distance_from_differences(std::unique_ptr<Network> architecture, const SharedBatch& batch) {
  const auto model = make(std::move(architecture));
  const Vector v = random_vector(model->layout(), 5);
  const auto product = product_of(model, batch, *v, hessian);
  CHECK_CLOSE(product.slope, v->dot(*model->gradient(*batch, {}).gradient), 1e-12);
  return relative_distance(numbers(*product.product), difference_of_gradients(*model, *batch, *v, 1e-6));
}

}  // namespace

TEST("curvature: products are the differences of gradients, for every activation and loss") {
  for (const auto activation : {Activation::gelu, Activation::gelu_tanh, Activation::relu, Activation::silu, Activation::tanh}) {
    for (const auto loss : {Loss::mse, Loss::cross_entropy}) {
      const auto batch = example_batch(7, 5, 3, loss, 2);
      CHECK(distance_from_differences(make_mlp({{5, 9, 8, 3}, activation, loss}), batch) < 1e-7);
    }
  }
}

TEST("curvature: products are the differences of gradients, for GPT-2") {
  const auto batch = token_batch(3, 7, 19, 2, 4);
  CHECK(distance_from_differences(make_gpt2(gpt2(true, Activation::gelu_tanh)), batch) < 1e-7);
  CHECK(distance_from_differences(make_gpt2(gpt2(false, Activation::gelu)), batch) < 1e-7);
}

TEST("curvature: many heads and rows, more than are worked on at once") {
  Gpt2Description d = gpt2(true, Activation::relu);
  d.context_length = 300;
  d.layers = 1;
  const auto batch = token_batch(3, 300, 19, 2, 5);
  CHECK(distance_from_differences(make_gpt2(d), batch) < 1e-7);
}

TEST("curvature: micro-batches add up, float32 is near float64, the same call gives the same bits") {
  const auto batch = token_batch(5, 7, 19, 2, 4);
  const auto wide = make(make_gpt2(gpt2(true, Activation::gelu)));
  const auto narrow = make(make_gpt2(gpt2(true, Activation::gelu)), at::kFloat);
  for (const auto kind : {hessian, gauss_newton}) {
    const auto whole = product_of(wide, batch, *random_vector(wide->layout(), 5), kind);
    const auto parts = product_of(wide, batch, *random_vector(wide->layout(), 5), kind, 2);
    CHECK(relative_distance(numbers(*parts.product), numbers(*whole.product)) < 1e-13);
    CHECK_CLOSE(parts.slope, whole.slope, 1e-13);
    const auto first = product_of(narrow, batch, *random_vector(narrow->layout(), 5), kind);
    const auto second = product_of(narrow, batch, *random_vector(narrow->layout(), 5), kind);
    CHECK(relative_distance(numbers(*first.product), numbers(*whole.product)) < 1e-5);
    for (size_t i = 0; i < first.product->size(); i++) CHECK(same_bits((*first.product)[i], (*second.product)[i]));
  }
}

TEST("curvature: both matrices are symmetric, Gauss–Newton's is nowhere negative") {
  const auto batch = token_batch(3, 7, 19, 2, 4);
  const auto model = make(make_gpt2(gpt2(false, Activation::gelu)));
  const Vector a = random_vector(model->layout(), 5), b = random_vector(model->layout(), 6);
  for (const auto kind : {hessian, gauss_newton}) {
    const Vector ca = product_of(model, batch, *a, kind).product;
    const Vector cb = product_of(model, batch, *b, kind).product;
    CHECK_CLOSE(a->dot(*cb) / b->dot(*ca), 1, 1e-10);
    if (kind == gauss_newton) CHECK(a->dot(*ca) > 0 && b->dot(*cb) > 0);
  }
}

TEST("curvature: of a linear network both matrices are the same; 2XᵀX/n is one of them") {
  for (const auto loss : {Loss::mse, Loss::cross_entropy}) {
    const auto model = make(make_mlp({{4, 3}, Activation::relu, loss}));
    const auto batch = example_batch(6, 4, 3, loss, 2);
    const Vector v = random_vector(model->layout(), 5);
    const Vector h = product_of(model, batch, *v, hessian).product;
    CHECK(relative_distance(numbers(*product_of(model, batch, *v, gauss_newton).product), numbers(*h)) < 1e-14);
    if (loss != Loss::mse) continue;
    // Of row o of the weight, with b its bias: 2/(n·out)·Xᵀ(Xv + b).
    const at::Tensor x = batch->inputs().to(at::kDouble), outputs = x.mm((*v)[0].t()).add((*v)[1]);
    const at::Tensor expected = outputs.t().mm(x).mul(2.0 / (6 * 3));
    CHECK(relative_distance(doubles_of((*h)[0]), doubles_of(expected)) < 1e-14);
  }
}

TEST("curvature: a direction that is zero in some parameters") {
  const auto batch = token_batch(3, 7, 19, 2, 4);
  const auto model = make(make_gpt2(gpt2(true, Activation::gelu)));
  const Vector v = random_vector(model->layout(), 5);
  std::vector<double> sum;
  for (const bool odd : {false, true}) {
    std::vector<bool> keep;
    for (size_t i = 0; i < v->size(); i++) keep.push_back((i % 2 == 1) == odd);
    for (const auto kind : {hessian}) {
      const auto part = numbers(*product_of(model, batch, store(*v->masked(keep)), kind).product);
      if (sum.empty()) sum.resize(part.size(), 0.0);
      for (size_t i = 0; i < part.size(); i++) sum[i] += part[i];
    }
  }
  CHECK(relative_distance(sum, numbers(*product_of(model, batch, *v, hessian).product)) < 1e-13);
}

TEST("curvature: bfloat16, another model's vector and a cancelled call are errors") {
  const auto batch = example_batch(7, 5, 3, Loss::mse, 2);
  const auto model = make(make_mlp({{5, 9, 3}, Activation::gelu, Loss::mse}), at::kFloat);
  const auto rounding = make(make_mlp({{5, 9, 3}, Activation::gelu, Loss::mse}), at::kFloat, at::kBFloat16);
  const auto other = make(make_mlp({{5, 8, 3}, Activation::gelu, Loss::mse}), at::kFloat);
  const Vector v = random_vector(model->layout(), 5);
  CHECK_THROWS(product_of(rounding, batch, *v, hessian));
  CHECK_THROWS(product_of(other, batch, *v, hessian));
  Curvature keeping(model, batch, {hessian, 0, true});
  Cancellation cancelled;
  cancelled.cancel();
  CHECK_THROWS(keeping.product(*v, cancelled));
  const auto first = numbers(*keeping.product(*v, {}).product);
  CHECK(keeping.byte_length() > 0);
  CHECK_THROWS(keeping.product(*v, cancelled));
  CHECK(numbers(*keeping.product(*v, {}).product) == first);
  CHECK(numbers(*keeping.product(*v, {}).product) == first);
  CHECK(product_of(model, batch, *v, hessian).product->norm() > 0);
}
