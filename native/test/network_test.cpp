// A network that is a loss and nothing else: what it has no closed form for, autograd finds.
#include <ATen/TensorOperators.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/tanh.h>

#include "check.hpp"
#include "curvature/curvature.hpp"
#include "krylov.hpp"
#include "support.hpp"

using namespace critical_sharpness;
using namespace critical_sharpness::test;

namespace {

/// The perceptron with squared errors that make_mlp makes, of two layers and tanh; with `attends`, its hidden numbers first attend
/// to one another, which fused kernels do that have no second derivative.
class PlainNetwork final : public Network {
 public:
  explicit PlainNetwork(bool attends) : attends_(attends) {}
  std::vector<ParameterSpec> parameters() const override {
    return {{"layers.0.weight", {8, 5}}, {"layers.0.bias", {8}}, {"layers.1.weight", {3, 8}}, {"layers.1.bias", {3}}};
  }
  InitialValue initial_value(size_t, const std::string&) const override { return {}; }
  void check(const Batch&) const override {}
  double normalizer(const Batch& batch) const override { return static_cast<double>(batch.targets().numel()); }
  int64_t numbers_held(const Batch& part) const override { return part.rows() * 8; }
  std::vector<at::Tensor> losses(ParameterView& view, const std::vector<Batch>& parts, const Cancellation&) const override {
    std::vector<at::Tensor> sums;
    for (const auto& part : parts) {
      const auto layer = [&](const at::Tensor& x, size_t weight) {
        return at::linear(x, view.value(weight, at::kDouble), view.value(weight + 1, at::kDouble));
      };
      at::Tensor hidden = at::tanh(layer(part.inputs(), 0));
      if (attends_) {
        const at::Tensor heads = hidden.view({1, 1, -1, 8});
        hidden = at::scaled_dot_product_attention(heads, heads, heads, {}, 0.0, /*is_causal=*/true).view({-1, 8});
      }
      const at::Tensor difference = layer(hidden, 2) - part.targets();
      sums.push_back(at::mul(difference, difference).sum());
    }
    return sums;
  }

 private:
  bool attends_;
};

std::shared_ptr<Model> plain(bool attends, std::vector<bool> trainable = {}) {
  auto model = std::make_shared<Model>(std::make_unique<PlainNetwork>(attends), at::kDouble, at::kDouble, at::kCPU, std::move(trainable));
  randomize(*model, 3, 0.8);
  return model;
}

std::shared_ptr<Model> closed_form() {
  auto model = std::make_shared<Model>(make_mlp({{5, 8, 3}, Activation::tanh, Loss::mse}), at::kDouble, at::kDouble);
  randomize(*model, 3, 0.8);
  return model;
}

}  // namespace

TEST("a network of a loss alone: losses, gradients and products are those of its closed form") {
  const auto batch = example_batch(9, 5, 3, Loss::mse, 1);
  const auto model = plain(false), other = closed_form();
  const auto v = random_vector(model->layout(), 4);
  const Perturbation moved{v, 0.3, PerturbationMode::view}, in_place{v, 0.3, PerturbationMode::in_place};
  CHECK_CLOSE(model->loss(*batch, nullptr, {}).loss, other->loss(*batch, nullptr, {}).loss, 1e-14);
  CHECK_CLOSE(model->loss(*batch, &moved, {}).loss, other->loss(*batch, &moved, {}).loss, 1e-14);
  CHECK(model->loss(*batch, &moved, {}).loss == model->loss(*batch, &in_place, {}).loss);
  for (const int64_t micro_batch : {0, 4}) {
    const auto a = model->gradient(*batch, {.micro_batch = micro_batch}), b = other->gradient(*batch, {.micro_batch = micro_batch});
    CHECK_CLOSE(a.loss, b.loss, 1e-14);
    for (size_t i = 0; i < 4; i++) CHECK(relative_distance(doubles_of((*a.gradient)[i]), doubles_of((*b.gradient)[i])) < 1e-13);
    Curvature twice(model, batch, {.micro_batch = micro_batch, .keep = true}), closed(other, batch, {.micro_batch = micro_batch});
    for (int again = 0; again < 2; again++) {
      const auto x = twice.product(*v, {}), y = closed.product(*v, {});
      CHECK_CLOSE(x.slope, y.slope, 1e-12);
      for (size_t i = 0; i < 4; i++) CHECK(relative_distance(doubles_of((*x.product)[i]), doubles_of((*y.product)[i])) < 1e-12);
    }
  }
  CHECK_CODE(Curvature(model, batch, {.kind = curvature::Operator::gauss_newton}).product(*v, {}), "ERR_OUT_OF_RANGE");
}

TEST("a network of a loss alone: its Hessian is symmetric where it attends, by the math kernel") {
  const auto batch = example_batch(9, 5, 3, Loss::mse, 1);
  const auto model = plain(true);
  Curvature curvature(model, batch, {.keep = true});
  const auto u = random_vector(model->layout(), 4), v = random_vector(model->layout(), 5);
  const auto hu = curvature.product(*u, {}).product, hv = curvature.product(*v, {}).product;
  CHECK_CLOSE(u->dot(*hv), v->dot(*hu), 1e-12);
  const double h = 1e-5;
  const auto loss_at = [&](double eta) {
    const Perturbation moved{v, eta, PerturbationMode::view};
    return model->loss(*batch, &moved, {}).loss;
  };
  CHECK_CLOSE(v->dot(*hv), (loss_at(h) - 2 * loss_at(0) + loss_at(-h)) / (h * h), 1e-4 * std::abs(v->dot(*hv)) + 1e-4);
}

TEST("frozen parameters have no gradient, no state, no Δ and no part in the Hessian") {
  const auto batch = example_batch(9, 5, 3, Loss::mse, 1);
  const std::vector<bool> trainable{true, false, false, true};
  for (const bool in_closed_form : {false, true}) {
    const auto all = in_closed_form ? closed_form() : plain(false);
    std::shared_ptr<Model> model;
    if (in_closed_form) {
      model = std::make_shared<Model>(make_mlp({{5, 8, 3}, Activation::tanh, Loss::mse}), at::kDouble, at::kDouble, at::kCPU, trainable);
      randomize(*model, 3, 0.8);
    } else {
      model = plain(false, trainable);
    }
    const auto before = copy_weights(*model);
    for (const int64_t micro_batch : {0, 4}) {
      const auto whole = all->gradient(*batch, {.micro_batch = micro_batch}).gradient;
      const auto part = model->gradient(*batch, {.micro_batch = micro_batch}).gradient;
      for (size_t i = 0; i < 4; i++) CHECK(trainable[i] ? same_bits((*part)[i], (*whole)[i]) : !part->has(i));
    }
    const ParameterGroups groups{{1, 1, 1, 1}, {0.1, 0.1, 0.1, 0.1}};
    const auto optimizer = make_adamw(model, groups, {});
    optimizer->accumulate_from(*batch, {}, true);
    CHECK(optimizer->byte_length() == 2 * (40 + 3) * 8);
    const auto delta = optimizer->direction(true);
    for (size_t i = 0; i < 4; i++) CHECK(delta->has(i) == trainable[i] && optimizer->roles(i).size() == (trainable[i] ? 2u : 0u));
    const auto other = make_adamw(model, groups, {});
    other->accumulate(*model->gradient(*batch, {}).gradient);
    CHECK(other->direction(true)->dot(*delta) == delta->dot(*delta));
    const auto restored = make_adamw(model, groups, {});
    restored->restore(1, copy_of(optimizer->state()));
    CHECK(restored->direction(true)->dot(*delta) == delta->dot(*delta));

    const auto v = random_vector(model->layout(), 6);
    auto curvature = std::make_shared<Curvature>(model, batch, CurvatureOptions{});
    Curvature of_all(all, batch, {});
    const auto masked = std::dynamic_pointer_cast<const ParameterVector>(v->masked(trainable));
    const auto x = curvature->product(*masked, {}).product, y = of_all.product(*masked, {}).product;
    for (size_t i = 0; i < 4; i++)
      CHECK(trainable[i] ? relative_distance(doubles_of((*x)[i]), doubles_of((*y)[i])) < 1e-12 : !x->has(i));
    Krylov krylov(curvature, {});
    CHECK(krylov.start(nullptr));
    size_t steps = 0;
    while (!krylov.step({}).exhausted) steps++;
    CHECK(steps == 42);

    optimizer->step(0.1);
    for (size_t i = 0; i < 4; i++) CHECK(same_bits(model->parameter(i), before[i]) == !trainable[i]);
  }
}
