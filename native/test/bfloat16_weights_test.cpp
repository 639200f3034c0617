#include <ATen/TensorOperators.h>
#include <ATen/ops/mm.h>

#include <cmath>

#include "check.hpp"
#include "gpt2.hpp"
#include "optimizer.hpp"
#include "parameter_view.hpp"
#include "state_direction.hpp"
#include "support.hpp"

using namespace critical_sharpness;
using namespace critical_sharpness::test;

namespace {


Gpt2Description gpt2(bool tied) {
  Gpt2Description d;
  d.vocabulary_size = 50;
  d.context_length = 6;
  d.width = 32;
  d.layers = 2;
  d.heads = 4;
  d.inner_width = 64;
  d.tied = tied;
  return d;
}

struct Case {
  std::unique_ptr<Network> (*architecture)();
  std::shared_ptr<const Batch> batch;
};
std::vector<Case> cases() {
  return {{[] { return make_gpt2(gpt2(true)); }, token_batch(3, 6, 50, 2, 5)},
          {[] { return make_gpt2(gpt2(false)); }, token_batch(3, 6, 50, 3, 4)},
          {[] { return make_mlp({{30, 20, 3}, Activation::gelu, Loss::mse}); }, example_batch(8, 30, 3, Loss::mse, 4)}};
}

/// The same weights in several dtypes: numbers that bfloat16 has.
std::shared_ptr<Model> make(const Case& c, at::ScalarType dtype, at::ScalarType compute) {
  auto model = std::make_shared<Model>(c.architecture(), dtype, compute);
  model->initialize(Initialization::zeros, 1);
  for (size_t i = 0; i < model->layout()->size(); i++) {
    const at::Tensor numbers = random_tensor(model->layout()->parameters[i].shape, at::kDouble, 10 + i, 0.3).to(at::kBFloat16);
    at::Tensor(model->parameter(i)).copy_(numbers);
  }
  return model;
}

}  // namespace

TEST("bfloat16 weights, float32 arithmetic: the bits of the same weights in float32, plain, perturbed and differentiated") {
  for (const auto& c : cases()) {
    const auto narrow = make(c, at::kBFloat16, at::kFloat), wide = make(c, at::kFloat, at::kFloat);
    CHECK(narrow->byte_length() * 2 == wide->byte_length() && narrow->layout()->matches(*wide->layout()));
    const auto before = copy_weights(*narrow);
    CHECK(narrow->loss(*c.batch, nullptr, {}).loss == wide->loss(*c.batch, nullptr, {}).loss);
    const auto a = narrow->gradient(*c.batch, {}), b = wide->gradient(*c.batch, {});
    CHECK(a.loss == b.loss);
    for (size_t i = 0; i < a.gradient->size(); i++) CHECK(same_bits((*a.gradient)[i], (*b.gradient)[i]));
    const auto first = make_adamw(narrow, {std::vector<double>(a.gradient->size(), 1), std::vector<double>(a.gradient->size(), 0.1)}, {});
    const auto second = make_adamw(wide, {std::vector<double>(a.gradient->size(), 1), std::vector<double>(a.gradient->size(), 0.1)}, {});
    first->accumulate_from(*c.batch, {}, true);
    second->accumulate_from(*c.batch, {}, true);
    const auto direction = first->direction(true), same = second->direction(true);
    for (size_t i = 0; i < a.gradient->size(); i++) CHECK(same_bits((*direction)[i], (*same)[i]));
    for (const double learning_rate : {1e-6, 1e-2}) {
      const Perturbation along{direction, learning_rate, PerturbationMode::view};
      CHECK(narrow->loss(*c.batch, &along, {}).loss == wide->loss(*c.batch, &along, {}).loss);
    }
    CHECK(same_weights(*narrow, before));
  }
}

TEST("bfloat16 weights and arithmetic: a layer is x·θᵀ − η·(x·Δᵀ), each product rounded once, their sum in float32") {
  Scratch scratch(1 << 20, 1 << 20);
  const auto layout = layout_of({{7, 40}, {7}, {40, 7}}, at::kFloat);
  std::vector<at::Tensor> weights;
  const auto numbers = random_vector(layout, 1), direction = random_vector(layout, 2);
  for (const auto& t : numbers->tensors()) weights.push_back(t.to(at::kBFloat16));
  const double learning_rate = 1e-5;
  const at::Tensor x = random_tensor({5, 40}, at::kFloat, 3).to(at::kBFloat16);
  const auto product = [&](const at::Tensor& matrix) {
    return at::mm(x.to(at::kDouble), matrix.to(at::kDouble)).to(at::kBFloat16).to(at::kDouble);
  };
  PerturbedView view(weights, *direction, learning_rate, at::kBFloat16, scratch);
  PlainView plain(weights, at::kBFloat16, scratch);
  using Storage = ParameterView::Storage;
  for (const auto& [index, storage] : {std::pair<size_t, Storage>{0, Storage::out_in}, {2, Storage::in_out}}) {
    const auto as_in_out = [&, storage = storage](const at::Tensor& w) { return storage == Storage::out_in ? w.t() : w; };
    const at::Tensor base = product(as_in_out(weights[index]));
    const at::Tensor step = product(as_in_out((*direction)[index].mul(-learning_rate).to(at::kBFloat16)));
    const at::Tensor bias = weights[1].to(at::kDouble) - (*direction)[1].to(at::kDouble) * learning_rate;
    const at::Tensor y = view.linear(x, index, 1, storage), y0 = plain.linear(x, index, 1, storage);
    CHECK(y.scalar_type() == at::kFloat && y0.scalar_type() == at::kFloat);
    // A product that lies at the middle of two bfloat16 numbers may be rounded to either: one in a hundred, at most.
    const double tolerance = 1e-6 + 2e-3 * step.abs().max().item<double>();
    const at::Tensor far = (y.to(at::kDouble) - (base + step + bias)).abs().gt(tolerance);
    CHECK(far.sum().item<int64_t>() <= 1);
    const at::Tensor moved = (y.to(at::kDouble) - y0.to(at::kDouble)) - (step - (*direction)[1].to(at::kDouble) * learning_rate);
    CHECK(moved.abs().max().item<double>() < 1e-6);
  }
}

TEST("bfloat16 weights: rows of an embedding, norms and biases are θ − ηΔ in float32") {
  Scratch scratch(1 << 20, 1 << 20);
  const auto layout = layout_of({{6, 9}, {9}}, at::kFloat);
  std::vector<at::Tensor> weights, wide;
  const auto numbers = random_vector(layout, 1), direction = random_vector(layout, 2);
  for (const auto& t : numbers->tensors()) {
    weights.push_back(t.to(at::kBFloat16));
    wide.push_back(weights.back().to(at::kFloat));
  }
  const at::Tensor ids = tensor_of(std::vector<double>{5, 0, 3, 3}).to(at::kLong);
  for (const auto compute : {at::kFloat, at::kBFloat16}) {
    PerturbedView view(weights, *direction, 1e-4, compute, scratch), expected(wide, *direction, 1e-4, at::kFloat, scratch);
    CHECK(same_bits(view.embedding(ids, 0), expected.embedding(ids, 0)));
    const at::Tensor value = view.value(1, at::kFloat).clone();
    CHECK(same_bits(value, expected.value(1, at::kFloat)));
    PlainView plain(weights, compute, scratch);
    CHECK(same_bits(plain.embedding(ids, 0), wide[0].index_select(0, ids)));
  }
}

TEST("bfloat16 weights: a step below half a unit in the last place of every weight is seen, where rounding would lose it") {
  for (const auto& c : cases()) {
    const auto exact = make(c, at::kDouble, at::kDouble);
    const auto gradient = exact->gradient(*c.batch, {}).gradient;
    // Δ with |ηΔ| a quarter of a unit in the last place of its weight, along the gradient's signs.
    std::vector<at::Tensor> tensors;
    for (size_t i = 0; i < gradient->size(); i++) {
      const at::Tensor& weight = exact->parameter(i);
      tensors.push_back((*gradient)[i].defined() ? weight.abs().mul(0.2 / 256).mul((*gradient)[i].sign()) : at::Tensor());
    }
    const ParameterVector delta(exact->layout(), tensors);
    const double slope = gradient->dot(delta);
    for (const auto compute : {at::kFloat, at::kBFloat16}) {
      const auto model = make(c, at::kBFloat16, compute);
      for (auto& t : tensors)
        if (t.defined()) t = t.to(at::kFloat);
      const Perturbation along{std::make_shared<ParameterVector>(model->layout(), tensors), 1, PerturbationMode::view};
      for (size_t i = 0; i < tensors.size(); i++)
        if (tensors[i].defined())
          CHECK(same_bits((model->parameter(i).to(at::kFloat) - tensors[i]).to(at::kBFloat16), model->parameter(i)));
      const auto before = copy_weights(*model);
      const double fall = model->loss(*c.batch, nullptr, {}).loss - model->loss(*c.batch, &along, {}).loss;
      CHECK_CLOSE(fall / slope, 1, compute == at::kFloat ? 0.05 : 0.3);
      CHECK(same_weights(*model, before));
    }
  }
}

TEST("bfloat16 weights: steps, perturbations in place and second derivatives are refused, with the remedy") {
  const Case c = cases().back();
  const auto model = make(c, at::kBFloat16, at::kBFloat16);
  const auto gradient = model->gradient(*c.batch, {}).gradient;
  const auto before = copy_weights(*model);
  const auto optimizer = make_sgd(model, {{1, 1, 1, 1}, {0, 0, 0, 0}}, {});
  optimizer->accumulate(*gradient);
  CHECK_CODE((optimizer->step(0.1), 0), "ERR_BFLOAT16_WEIGHTS");
  const Perturbation along{gradient, 0.1, PerturbationMode::in_place};
  CHECK_CODE(model->loss(*c.batch, &along, {}), "ERR_OUT_OF_RANGE");
  CHECK_CODE(model->weights_to_differentiate(), "ERR_OUT_OF_RANGE");
  CHECK_CODE(make(c, at::kBFloat16, at::kFloat)->weights_to_differentiate(), "ERR_OUT_OF_RANGE");
  CHECK(same_weights(*model, before) && model->version() == 1);
}
