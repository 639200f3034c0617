#include "cancellation.hpp"

#include <array>
#include <chrono>
#include <thread>

#include "check.hpp"
#include "gpt2.hpp"
#include "support.hpp"

using namespace critical_sharpness;
using namespace critical_sharpness::test;

namespace {

using Pass = void (*)(Model&, const Batch&, const std::shared_ptr<const ParameterVector>&, const PassOptions&);

void perturbed(Model& model, const Batch& batch, const std::shared_ptr<const ParameterVector>& direction,
               const PassOptions& options, PerturbationMode mode) {
  const Perturbation perturbation{direction, 0.3, mode};
  model.loss(batch, &perturbation, options);
}

/// Every kind of pass that can be cancelled.
const std::vector<Pass> passes{
    [](Model& m, const Batch& b, const auto&, const PassOptions& o) { m.loss(b, nullptr, o); },
    [](Model& m, const Batch& b, const auto& d, const PassOptions& o) { perturbed(m, b, d, o, PerturbationMode::view); },
    [](Model& m, const Batch& b, const auto& d, const PassOptions& o) { perturbed(m, b, d, o, PerturbationMode::in_place); },
    [](Model& m, const Batch& b, const auto&, const PassOptions& o) { m.gradient(b, o); },
    [](Model& m, const Batch& b, const auto&, const PassOptions& o) { m.gradient(b, {o.micro_batch, o.cancel, true}); },
};

enum class Ending { finished, cancelled, other };
Ending run(const Pass& pass, Model& model, const Batch& batch, const std::shared_ptr<const ParameterVector>& direction,
           const PassOptions& options) {
  try {
    pass(model, batch, direction, options);
    return Ending::finished;
  } catch (const Cancelled&) {
    return Ending::cancelled;
  } catch (...) {
    return Ending::other;
  }
}

Gpt2Description small() {
  Gpt2Description d;
  d.vocabulary_size = 50;
  d.context_length = 16;
  d.width = 16;
  d.layers = 2;
  d.heads = 2;
  d.inner_width = 32;
  return d;
}

struct Case {
  Model model;
  std::shared_ptr<const Batch> batch;
};
std::array<Case, 2> cases() {
  return {{{{make_mlp({{8, 64, 64, 4}, Activation::gelu, Loss::cross_entropy}), at::kFloat, at::kFloat},
            example_batch(64, 8, 4, Loss::cross_entropy, 1)},
           {{make_gpt2(small()), at::kFloat, at::kFloat}, token_batch(8, 16, 50, 2)}}};
}

}  // namespace

TEST("cancellation: copies share the flag") {
  const Cancellation first;
  const Cancellation second = first;
  first.check();
  second.cancel();
  second.cancel();
  CHECK_THROWS((first.check(), 0));
  Cancellation().check();
}

TEST("cancellation: a pass that is cancelled already stops in every mode, and the weights are whole") {
  for (auto& [model, batch] : cases()) {
    randomize(model, 3, 0.3);
    const auto before = copy_weights(model);
    const auto version = model.version();
    const auto direction = random_vector(model.layout(), 4);
    PassOptions options;
    options.cancel.cancel();
    for (const auto& pass : passes) {
      CHECK(run(pass, model, *batch, direction, options) == Ending::cancelled);
      CHECK(same_weights(model, before) && model.version() == version);
      CHECK(run(pass, model, *batch, direction, {}) == Ending::finished);
    }
  }
}

TEST("cancellation: a pass that is cancelled at any moment ends as Cancelled or as if nothing had been, with whole weights") {
  for (auto& [model, batch] : cases()) {
    randomize(model, 5, 0.3);
    const auto before = copy_weights(model);
    const auto direction = random_vector(model.layout(), 6);
    const double loss = model.loss(*batch, nullptr, {}).loss;
    for (const auto& pass : passes) {
      int cancelled = 0;
      for (int i = 0; i < 12; i++) {
        PassOptions options;
        options.micro_batch = 1;
        std::thread other([&options, i] {
          std::this_thread::sleep_for(std::chrono::microseconds(150 * i));
          options.cancel.cancel();
        });
        const Ending ending = run(pass, model, *batch, direction, options);
        other.join();
        CHECK(ending != Ending::other);
        cancelled += ending == Ending::cancelled;
        CHECK(same_weights(model, before));
      }
      CHECK(cancelled > 0);
    }
    CHECK(model.loss(*batch, nullptr, {}).loss == loss);
  }
}

TEST("cancellation: the end of the process stops every pass") {
  for (auto& [model, batch] : cases()) {
    randomize(model, 7, 0.3);
    const auto before = copy_weights(model);
    const auto direction = random_vector(model.layout(), 8);
    Cancellation::process_ends() = true;
    for (const auto& pass : passes) CHECK(run(pass, model, *batch, direction, {}) == Ending::cancelled);
    Cancellation::process_ends() = false;
    CHECK(same_weights(model, before));
    for (const auto& pass : passes) CHECK(run(pass, model, *batch, direction, {}) == Ending::finished);
  }
}
