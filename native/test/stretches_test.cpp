#include "stretches.hpp"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/empty.h>

#include <chrono>
#include <functional>
#include <thread>

#include "check.hpp"
#include "mapped_file.hpp"
#include "optimizer.hpp"
#include "support.hpp"
#include "vector_algebra.hpp"

using namespace critical_sharpness;
using namespace critical_sharpness::test;

namespace {

/// A weight of two stretches and a part of one, and a bias as long.
constexpr int64_t width = 2 * stretch_length + 1029;

std::shared_ptr<Model> wide_model(at::ScalarType weights = at::kFloat) {
  auto model = std::make_shared<Model>(make_mlp({{1, width}, Activation::relu, Loss::mse}), weights, weights);
  model->initialize(Initialization::zeros, 1);
  return model;
}

Cancellation cancelled() {
  const Cancellation cancel;
  cancel.cancel();
  return cancel;
}

bool stops(const std::function<void(const Cancellation&)>& call, const Cancellation& cancel) {
  try {
    call(cancel);
    return false;
  } catch (const Cancelled&) {
    return true;
  }
}

}  // namespace

TEST("stretches: cover every number once, and none but the only one is short") {
  for (const int64_t count : {int64_t{0}, int64_t{1}, stretch_length - 1, stretch_length, 2 * stretch_length - 1, width}) {
    int64_t next = 0;
    in_stretches(count, {}, [&](int64_t start, int64_t length) {
      CHECK(start == next && start % stretch_length == 0 && (length >= stretch_length || count < stretch_length));
      next = start + length;
    });
    CHECK(next == count);
  }
}

TEST("stretches: a large weight's first values are those of a generator that draws them at once") {
  for (const auto& [scheme, name] : {std::pair(Initialization::he, "he"), std::pair(Initialization::pytorch, "pytorch")}) {
    const auto model = wide_model();
    model->initialize(scheme, 5);
    auto generator = at::make_generator<at::CPUGeneratorImpl>(5);
    for (size_t i = 0; i < 2; i++) {
      const InitialValue start = model->network().initial_value(i, name);
      at::Tensor whole = at::empty(model->layout()->parameters[i].shape, at::kFloat).fill_(start.value);
      if (start.kind == InitialValue::Kind::normal) whole.normal_(0, start.value, generator);
      if (start.kind == InitialValue::Kind::uniform) whole.uniform_(-start.value, start.value, generator);
      CHECK(same_bits(model->parameter(i), whole));
    }
  }
}

TEST("stretches: what is cancelled stops before or within a tensor, and changes nothing") {
  const auto model = wide_model(), other = wide_model(), fresh = wide_model();
  model->initialize(Initialization::pytorch, 1);
  const auto before = copy_weights(*model);
  const auto version = model->version();
  const auto a = std::make_shared<ParameterVector>(random_vector(model->layout(), Distribution::normal, 2));
  const auto positive = std::make_shared<ParameterVector>(elementwise_product(*a, *a));
  const std::vector<std::function<void(const Cancellation&)>> calls{
      [&](const Cancellation& c) { fresh->initialize(Initialization::he, 3, c); },
      [&](const Cancellation& c) { random_vector(model->layout(), Distribution::normal, 4, c); },
      [&](const Cancellation& c) { random_vector(model->layout(), Distribution::rademacher, 4, c); },
      [&](const Cancellation& c) { linear_combination({a, a}, {1, 2}, c); },
      [&](const Cancellation& c) { elementwise_product(*a, *a, c); },
      [&](const Cancellation& c) { inverse_square_root(*positive, c); },
      [&](const Cancellation& c) { difference(*model, *other, c); },
      [&](const Cancellation& c) { a->scaled(3, c); },
      [&](const Cancellation& c) { a->clone(c); },
      [&](const Cancellation& c) { a->dot(*a, c); },
      [&](const Cancellation& c) { store(*a, c); },
      [&](const Cancellation& c) { converted((*a)[0], at::kDouble, c); },
      [&](const Cancellation& c) { zeros({width}, at::kFloat, c); },
  };
  for (const auto& call : calls) CHECK(stops(call, cancelled()));
  CHECK(fresh->version() == 1);
  // In the middle: each of them takes milliseconds, some of the moments are within.
  int within = 0;
  for (int i = 0; i < 4; i++)
    for (const auto& call : calls) {
      const Cancellation cancel;
      std::thread later([&cancel, i] {
        std::this_thread::sleep_for(std::chrono::microseconds(500 * i));
        cancel.cancel();
      });
      within += stops(call, cancel);
      later.join();
    }
  CHECK(within > 0);
  CHECK(same_weights(*model, before) && model->version() == version);
}

TEST("stretches: a state or weights are changed to the end, or not at all, but for the end of the process") {
  for (const bool adamw : {true, false}) {
    const auto model = wide_model();
    const ParameterGroups groups{{1, 1}, {0, 0}};
    const std::shared_ptr<Optimizer> optimizer =
        adamw ? make_adamw(model, groups, {}) : make_sgd(model, groups, {0.9, false});
    const ParameterVector gradient = random_vector(model->layout(), Distribution::normal, 1);
    CHECK(stops([&](const auto& c) { optimizer->accumulate(gradient, c); }, cancelled()));
    CHECK(optimizer->steps() == 0);
    optimizer->accumulate(gradient);
    const auto direction = optimizer->direction(true);
    const auto weights = copy_weights(*model);
    CHECK(stops([&](const auto& c) { optimizer->accumulate(gradient, c); }, cancelled()));
    CHECK(stops([&](const auto& c) { optimizer->step(0.1, c); }, cancelled()));
    CHECK(stops([&](const auto& c) { optimizer->direction(true, c); }, cancelled()));
    CHECK(stops([&](const auto& c) { optimizer->preconditioner(c); }, cancelled()));
    CHECK(optimizer->steps() == 1 && same_weights(*model, weights));
    for (size_t i = 0; i < 2; i++) CHECK(same_bits((*optimizer->direction(true))[i], (*direction)[i]));

    const auto state = copy_of(optimizer->state());
    CHECK(stops([&](const auto& c) { optimizer->accumulate(gradient, {}, c); }, cancelled()));
    CHECK_CODE(optimizer->direction(true), "ERR_OPTIMIZER_STATE");
    CHECK_CODE((optimizer->step(0.1), 0), "ERR_OPTIMIZER_STATE");
    optimizer->restore(1, state);
    for (size_t i = 0; i < 2; i++) CHECK(same_bits((*optimizer->direction(true))[i], (*direction)[i]));
    CHECK(stops([&](const auto& c) { optimizer->step(0.1, {}, c); }, cancelled()));
    CHECK_CODE((model->parameter(0), 0), "ERR_NO_WEIGHTS");
  }
}

TEST("stretches: the end of the process stops a step and a gradient's accumulation") {
  const auto model = wide_model();
  const auto optimizer = make_adamw(model, {{1, 1}, {0, 0}}, {});
  const ParameterVector gradient = random_vector(model->layout(), Distribution::normal, 1);
  optimizer->accumulate(gradient);
  Cancellation::process_ends() = true;
  CHECK(stops([&](const auto&) { optimizer->accumulate(gradient); }, {}));
  CHECK(stops([&](const auto&) { optimizer->step(0.1); }, {}));
  Cancellation::process_ends() = false;
}
