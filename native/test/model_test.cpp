#include "model.hpp"

#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "check.hpp"
#include "naive.hpp"
#include "support.hpp"

using namespace critical_sharpness;
using namespace critical_sharpness::test;

namespace {

Gpt2Description gpt2_description() {
  Gpt2Description d;
  d.vocabulary_size = 96;
  d.context_length = 8;
  d.width = 64;
  d.layers = 2;
  d.heads = 4;
  d.inner_width = 256;
  d.tied = false;
  return d;
}
Model gpt2(at::ScalarType dtype = at::kFloat) { return {make_gpt2(gpt2_description()), dtype, dtype}; }
Model mlp(Loss loss = Loss::mse, at::ScalarType dtype = at::kFloat) {
  return {make_mlp({{64, 128, 10}, Activation::relu, loss}), dtype, dtype};
}

double deviation(const at::Tensor& tensor) {
  double squares = 0;
  for (const double v : doubles_of(tensor)) squares += v * v;
  return std::sqrt(squares / static_cast<double>(tensor.numel()));
}
double largest(const at::Tensor& tensor) {
  double most = 0;
  for (const double v : doubles_of(tensor)) most = std::max(most, std::abs(v));
  return most;
}
size_t index_of(const Model& model, const std::string& name) {
  for (size_t i = 0; i < model.layout()->size(); i++)
    if (model.layout()->parameters[i].name == name) return i;
  CHECK(false);
  return 0;
}

}  // namespace

TEST("model: the same seed gives the same bits, another seed others, and float64 the float32 ones") {
  for (const auto scheme : {Initialization::pytorch, Initialization::he}) {
    Model first = mlp(), second = mlp(), wide = mlp(Loss::mse, at::kDouble);
    first.initialize(scheme, 7);
    second.initialize(scheme, 8);
    CHECK(!same_weights(second, copy_weights(first)));
    second.initialize(scheme, 7);
    CHECK(same_weights(second, copy_weights(first)));
    wide.initialize(scheme, 7);
    for (size_t i = 0; i < first.layout()->size(); i++) CHECK(same_bits(wide.parameter(i).to(at::kFloat), first.parameter(i)));
  }
  Model first = gpt2(), second = gpt2();
  first.initialize(Initialization::gpt2, 7);
  second.initialize(Initialization::gpt2, 7);
  CHECK(same_weights(second, copy_weights(first)));
}

TEST("model: initial weights have the scheme's spread") {
  Model model = mlp();
  model.initialize(Initialization::pytorch, 1);
  CHECK(largest(model.parameter(0)) <= 1 / 8.0 && largest(model.parameter(1)) <= 1 / 8.0);
  CHECK_CLOSE(deviation(model.parameter(0)), 1 / (8 * std::sqrt(3.0)), 2e-3);
  model.initialize(Initialization::he, 1);
  CHECK_CLOSE(deviation(model.parameter(0)), std::sqrt(2 / 64.0), 8e-3);
  CHECK_CLOSE(deviation(model.parameter(2)), std::sqrt(2 / 128.0), 1e-2);
  CHECK(largest(model.parameter(1)) == 0 && largest(model.parameter(3)) == 0);
  model.initialize(Initialization::zeros, 1);
  for (size_t i = 0; i < 4; i++) CHECK(largest(model.parameter(i)) == 0);

  Model gpt = gpt2();
  gpt.initialize(Initialization::gpt2, 1);
  const auto part = [&](const std::string& name) { return gpt.parameter(index_of(gpt, "transformer." + name)); };
  for (const auto* name : {"wte.weight", "h.0.attn.c_attn.weight", "h.1.mlp.c_fc.weight"})
    CHECK_CLOSE(deviation(part(name)), 0.02, 1e-3);
  for (const auto* name : {"h.0.attn.c_proj.weight", "h.1.mlp.c_proj.weight"}) CHECK_CLOSE(deviation(part(name)), 0.01, 5e-4);
  for (const auto* name : {"h.0.ln_1.weight", "ln_f.weight"}) CHECK(deviation(part(name)) == 1);
  for (const auto* name : {"h.0.ln_1.bias", "ln_f.bias", "h.1.attn.c_attn.bias"}) CHECK(largest(part(name)) == 0);
  CHECK_CLOSE(deviation(gpt.parameter(index_of(gpt, "lm_head.weight"))), 0.02, 1e-3);
}

TEST("model: a scheme of another kind of model is refused, and the weights stay") {
  Model model = mlp(), gpt = gpt2();
  model.initialize(Initialization::he, 1);
  const auto before = copy_weights(model);
  const auto version = model.version();
  CHECK_CODE((model.initialize(Initialization::gpt2, 2), 0), "ERR_OUT_OF_RANGE");
  CHECK(same_weights(model, before) && model.version() == version);
  CHECK_CODE((gpt.initialize(Initialization::he, 2), 0), "ERR_OUT_OF_RANGE");
  CHECK_CODE((gpt.initialize(Initialization::pytorch, 2), 0), "ERR_OUT_OF_RANGE");
}

TEST("model: without weights there is nothing to compute") {
  Model model = mlp();
  const auto batch = example_batch(2, 64, 10, Loss::mse, 1);
  CHECK_CODE(model.loss(*batch, nullptr, {}), "ERR_NO_WEIGHTS");
  CHECK_CODE(model.gradient(*batch, {}), "ERR_NO_WEIGHTS");
  CHECK_CODE(model.parameter(0), "ERR_NO_WEIGHTS");
  CHECK_CODE(model.weights_to_change(), "ERR_NO_WEIGHTS");
  CHECK_CODE(difference(model, model), "ERR_NO_WEIGHTS");
  CHECK(model.version() == 0 && model.byte_length() == 4 * (64 * 128 + 128 + 128 * 10 + 10));
}

TEST("model: batches that do not fit are refused by loss and gradient alike") {
  Model regression = mlp(), classifier = mlp(Loss::cross_entropy), gpt = gpt2();
  regression.initialize(Initialization::he, 1);
  classifier.initialize(Initialization::he, 1);
  gpt.initialize(Initialization::gpt2, 1);
  const auto refused = [](Model& model, const std::shared_ptr<const Batch>& batch, const std::string& code) {
    CHECK_CODE(model.loss(*batch, nullptr, {}), code);
    CHECK_CODE(model.gradient(*batch, {}), code);
  };
  const std::string type = "ERR_INVALID_ARG_TYPE", range = "ERR_OUT_OF_RANGE";
  refused(regression, token_batch(2, 3, 5, 1), type);
  refused(regression, example_batch(2, 63, 10, Loss::mse, 1), range);
  refused(regression, example_batch(2, 64, 9, Loss::mse, 1), range);
  refused(regression, example_batch(2, 64, 10, Loss::cross_entropy, 1), type);
  refused(classifier, example_batch(2, 64, 10, Loss::mse, 1), type);
  refused(classifier, example_batch(200, 64, 11, Loss::cross_entropy, 1), range);
  refused(gpt, example_batch(2, 8, 3, Loss::mse, 1), type);
  refused(gpt, token_batch(1, 9, 96, 1), range);
  refused(gpt, Batch::tokens(token_batch(40, 8, 97, 1)->inputs(), token_batch(40, 8, 96, 1)->targets()), range);
  refused(gpt, Batch::tokens(token_batch(40, 8, 96, 1)->inputs(), token_batch(40, 8, 97, 2)->targets()), range);
  CHECK(std::isfinite(gpt.loss(*token_batch(1, 8, 96, 1), nullptr, {}).loss));
}

TEST("model: a direction of another model is refused in both modes, and the weights stay") {
  Model model = mlp();
  model.initialize(Initialization::he, 1);
  const auto before = copy_weights(model);
  const auto batch = example_batch(2, 64, 10, Loss::mse, 1);
  for (const auto& layout : {mlp(Loss::mse, at::kDouble).layout(), gpt2().layout(), layout_of({{3}}, at::kFloat)})
    for (const auto mode : {PerturbationMode::view, PerturbationMode::in_place}) {
      const Perturbation perturbation{random_vector(layout, 1), 1, mode};
      CHECK_CODE(model.loss(*batch, &perturbation, {}), "ERR_MODEL_MISMATCH");
      CHECK(same_weights(model, before));
    }
}

TEST("model: its version counts changes of the weights, and a pass is none") {
  Model model = mlp();
  const auto batch = example_batch(4, 64, 10, Loss::mse, 1);
  model.initialize(Initialization::he, 1);
  CHECK(model.version() == 1);
  const auto direction = model.gradient(*batch, {}).gradient;
  for (const auto mode : {PerturbationMode::view, PerturbationMode::in_place}) {
    const Perturbation perturbation{direction, 0.1, mode};
    CHECK(model.loss(*batch, &perturbation, {}).version == 1);
  }
  model.weights_to_change()[0].add_(1);
  CHECK(model.version() == 2 && model.loss(*batch, nullptr, {}).version == 2 && model.gradient(*batch, {}).version == 2);
}

TEST("model: θ_a − 1·Δ = θ_b for the difference of two models") {
  Model a = mlp(Loss::mse, at::kDouble), b = mlp(Loss::mse, at::kDouble), other = gpt2();
  a.initialize(Initialization::he, 1);
  b.initialize(Initialization::he, 2);
  other.initialize(Initialization::gpt2, 1);
  const auto batch = example_batch(4, 64, 10, Loss::mse, 1);
  const Perturbation perturbation{difference(a, b), 1, PerturbationMode::view};
  CHECK_CLOSE(a.loss(*batch, &perturbation, {}).loss, b.loss(*batch, nullptr, {}).loss, 1e-13);
  CHECK(difference(a, a)->norm() == 0);
  CHECK_CODE(difference(a, other), "ERR_MODEL_MISMATCH");
}

TEST("model: weights that were copied come back bit for bit after steps, and frozen ones are not held") {
  const auto names = make_mlp({{64, 128, 10}, Activation::relu, Loss::mse})->parameters();
  std::vector<bool> trainable(names.size(), true);
  trainable.back() = false;
  Model model(make_mlp({{64, 128, 10}, Activation::relu, Loss::mse}), at::kFloat, at::kFloat, at::kCPU, trainable);
  model.initialize(Initialization::pytorch, 3);
  const auto before = copy_weights(model);
  const auto saved = model.copy_weights();
  CHECK(!saved->has(names.size() - 1));
  Model one = mlp(), two = mlp();
  one.initialize(Initialization::pytorch, 4);
  two.initialize(Initialization::pytorch, 5);
  const auto direction = difference(one, two)->masked(trainable);
  for (const double eta : {0.1, 1e-7, 3.0}) model.step(*direction, eta);
  CHECK(!same_weights(model, before));
  const uint64_t version = model.version();
  model.restore_weights(*saved);
  CHECK(same_weights(model, before));
  CHECK(model.version() == version + 1);
  // What was copied is a copy: steps after it leave it as it is.
  model.step(*direction, 0.5);
  model.restore_weights(*saved);
  CHECK(same_weights(model, before));
  Model another = gpt2();
  another.initialize(Initialization::gpt2, 1);
  CHECK_CODE((another.restore_weights(*saved), 0), "ERR_MODEL_MISMATCH");
}

TEST("model: weights from a file are used where they lie, and a load that fails keeps the old ones") {
  const auto file = std::filesystem::temp_directory_path() / ("critical-sharpness-model-" + std::to_string(getpid()));
  Model source = mlp();
  source.initialize(Initialization::he, 3);
  std::vector<FileTensor> places;
  {
    std::ofstream out(file, std::ios::binary);
    for (size_t i = 0; i < source.layout()->size(); i++) {
      places.push_back({file, out.tellp(), at::kFloat});
      const at::Tensor& weight = source.parameter(i);
      out.write(static_cast<const char*>(weight.const_data_ptr()), static_cast<std::streamsize>(weight.nbytes()));
    }
  }
  Model model = mlp();
  model.load(places);
  CHECK(same_weights(model, copy_weights(source)));
  // A training step on mapped weights, then a load that cannot be: neither the file nor the weights suffer.
  model.weights_to_change()[0].add_(1);
  const auto changed = copy_weights(model);
  auto wrong = places;
  wrong[3].byte_offset = 1'000'000;
  CHECK_CODE((model.load(wrong), 0), "ERR_MODEL_FILE");
  CHECK(same_weights(model, changed));
  const auto vector = load_vector(model.layout(), {places[0], {}, places[2], places[3]});
  CHECK(same_bits((*vector)[0], source.parameter(0)) && !(*vector)[1].defined());
  std::filesystem::remove(file);
}
