#include "state_direction.hpp"

#include <functional>
#include <limits>
#include <numeric>

#include "check.hpp"
#include "gpt2.hpp"
#include "support.hpp"

using namespace critical_sharpness;
using namespace critical_sharpness::test;

namespace {

Gpt2Description gpt2(bool tied) {
  Gpt2Description d;
  d.vocabulary_size = 300;
  d.context_length = 6;
  d.width = 64;
  d.layers = 2;
  d.heads = 4;
  d.inner_width = 272;  // more than a chunk in one weight
  d.tied = tied;
  return d;
}

struct Case {
  std::shared_ptr<Model> model;
  std::shared_ptr<const Batch> batch;
};
std::vector<Case> cases() {
  std::vector<Case> all;
  for (const auto& [dtype, compute] : {std::pair{at::kDouble, at::kDouble}, {at::kFloat, at::kFloat}, {at::kFloat, at::kBFloat16}})
    for (const bool tied : {true, false})
      all.push_back({std::make_shared<Model>(make_gpt2(gpt2(tied)), dtype, compute), token_batch(3, 6, 300, 2, 5)});
  all.push_back({std::make_shared<Model>(make_mlp({{150, 120, 3}, Activation::gelu, Loss::mse}), at::kFloat, at::kFloat),
                 example_batch(4, 150, 3, Loss::mse, 1)});
  for (const auto& c : all) randomize(*c.model, 3, 0.2);
  return all;
}

using Make = std::shared_ptr<Optimizer> (*)(const std::shared_ptr<Model>&);
ParameterGroups groups_of(const Model& model) {
  ParameterGroups groups;
  for (size_t i = 0; i < model.layout()->size(); i++) {
    groups.learning_rate_ratio.push_back(i % 3 == 0 ? 0.5 : 1);
    groups.weight_decay.push_back(i % 2 == 0 ? 0.1 : 0);
  }
  return groups;
}
const std::vector<Make> makers{
    [](const auto& m) -> std::shared_ptr<Optimizer> { return make_adamw(m, groups_of(*m), {0.9, 0.95, 1e-8}); },
    [](const auto& m) -> std::shared_ptr<Optimizer> { return make_sgd(m, groups_of(*m), {}); },
    [](const auto& m) -> std::shared_ptr<Optimizer> { return make_sgd(m, groups_of(*m), {0.9, true}); },
    [](const auto& m) -> std::shared_ptr<Optimizer> { return make_lion(m, groups_of(*m)); },
    [](const auto& m) -> std::shared_ptr<Optimizer> { return make_muon(m, groups_of(*m), {}); },
};

/// GPT-2 that says when the gradient of its last part begins to be given away.
class Watched final : public Network {
 public:
  explicit Watched(std::function<void()> on_begin) : inner_(make_gpt2(gpt2(false))), on_begin_(std::move(on_begin)) {}
  std::vector<ParameterSpec> parameters() const override { return inner_->parameters(); }
  InitialValue initial_value(size_t p, const std::string& scheme) const override { return inner_->initial_value(p, scheme); }
  void check(const Batch& batch) const override { inner_->check(batch); }
  int64_t numbers_held(const Batch& part) const override { return inner_->numbers_held(part); }
  std::vector<at::Tensor> losses(ParameterView& view, const std::vector<Batch>& parts, const Cancellation& cancel) const override {
    return inner_->losses(view, parts, cancel);
  }
  PendingGradient differentiate(const Differentiation& how, const Batch& part) const override {
    auto pending = inner_->differentiate(how, part);
    return {pending.sum, [this, backward = std::move(pending.backward)] { on_begin_(); backward(); }};
  }
  bool is_whole_before_backward(size_t parameter) const override { return inner_->is_whole_before_backward(parameter); }

 private:
  std::unique_ptr<Network> inner_;
  std::function<void()> on_begin_;
};

void same_state(const Optimizer& a, const Optimizer& b) {
  const auto first = a.state(), second = b.state();
  CHECK(first.size() == second.size() && a.steps() == b.steps());
  for (const auto& [role, vector] : first)
    for (size_t i = 0; i < vector->size(); i++)
      CHECK((*vector)[i].defined() ? same_bits((*vector)[i], (*second.at(role))[i]) : !(*second.at(role))[i].defined());
}

}  // namespace

TEST("a direction of the state: losses, products and numbers have the bits of the stored one") {
  for (const auto& [model, batch] : cases())
    for (const auto& make : makers) {
      const auto optimizer = make(model);
      for (int i = 0; i < 2; i++) optimizer->accumulate(*model->gradient(*batch, {}).gradient);
      for (const bool decay : {true, false}) {
        const std::shared_ptr<const Direction> stored = optimizer->direction(decay), made = state_direction(optimizer, decay);
        CHECK(made->as_stored() == nullptr && made->byte_length() == 0);
        std::vector<bool> keep;
        for (size_t i = 0; i < model->layout()->size(); i++) keep.push_back(i % 2 == 0);
        for (const auto& [a, b] : {std::pair{stored, made}, {stored->masked(keep), made->masked(keep)}}) {
          for (const double learning_rate : {1e-3, 0.5}) {
            const Perturbation along{a, learning_rate, PerturbationMode::view}, same{b, learning_rate, PerturbationMode::view};
            CHECK(model->loss(*batch, &along, {}).loss == model->loss(*batch, &same, {}).loss);
          }
          CHECK(a->norm() == b->norm() && a->dot(*stored) == b->dot(*stored) && a->dot(*stored) == stored->dot(*b));
          const ParameterVector written = store(*b);
          for (size_t i = 0; i < written.size(); i++) {
            CHECK(a->has(i) == b->has(i));
            CHECK(read_bytes(*a, i, 3, 80'000) == read_bytes(*b, i, 3, 80'000));
            if (a->has(i)) CHECK(same_bits(written[i], (*a->as_stored())[i]));
          }
        }
      }
    }
}

TEST("a direction of the state: out of date once the state or the weights move on") {
  const auto c = cases().back();
  for (const auto& make : makers) {
    const auto optimizer = make(c.model);
    CHECK_CODE(state_direction(optimizer, true), "ERR_NO_GRADIENT");
    const auto gradient = c.model->gradient(*c.batch, {}).gradient;
    const auto stale = [&](const std::shared_ptr<const Direction>& direction) {
      const Perturbation along{direction, 0.1, PerturbationMode::view};
      CHECK_CODE(c.model->loss(*c.batch, &along, {}), "ERR_STALE_DIRECTION");
      CHECK_CODE(direction->norm(), "ERR_STALE_DIRECTION");
      CHECK_CODE(gradient->dot(*direction), "ERR_STALE_DIRECTION");
      CHECK_CODE(store(*direction), "ERR_STALE_DIRECTION");
      CHECK_CODE(read_bytes(*direction, 0, 0, 8), "ERR_STALE_DIRECTION");
    };
    optimizer->accumulate(*gradient);
    const auto first = state_direction(optimizer, true), part = first->masked({true, false, true, true});
    CHECK(first->norm() > 0 && part->norm() > 0);
    optimizer->accumulate(*gradient);
    stale(first);
    stale(part);
    const auto second = state_direction(optimizer, false);
    optimizer->restore(optimizer->steps(), optimizer->state());
    stale(second);
    const auto third = state_direction(optimizer, false);
    optimizer->step(1e-3);
    stale(third);
    CHECK(state_direction(optimizer, false)->norm() > 0);
  }
}

TEST("a direction of the state: in place there is no way back, and the weights stay") {
  const auto c = cases().back();
  const auto optimizer = makers[0](c.model);
  optimizer->accumulate(*c.model->gradient(*c.batch, {}).gradient);
  const auto before = copy_weights(*c.model);
  const Perturbation along{state_direction(optimizer, true), 0.1, PerturbationMode::in_place};
  CHECK_CODE(c.model->loss(*c.batch, &along, {}), "ERR_DIRECTION_NOT_STORED");
  CHECK(same_weights(*c.model, before));
}

TEST("a gradient straight into the state: the same state, and its norm and slopes, in any micro-batches") {
  for (const auto& [model, batch] : cases())
    for (const auto& make : makers)
      for (const bool recompute : {false, true})
        for (const int64_t micro_batch : {0, 2}) {
          PassOptions options;
          options.micro_batch = micro_batch;
          options.recompute = recompute;
          const auto first = make(model), second = make(model);
          for (int i = 0; i < 2; i++) {
            const auto made = model->gradient(*batch, options);
            first->accumulate(*made.gradient);
            const auto known = second->accumulate_from(*batch, options, i == 0);
            same_state(*first, *second);
            CHECK(known.loss.loss == made.loss && known.loss.version == model->version());
            CHECK_CLOSE(known.norm / made.gradient->norm(), 1, 1e-15);
            const double slope = std::accumulate(known.slopes.begin(), known.slopes.end(), 0.0);
            CHECK_CLOSE(slope, made.gradient->dot(*first->direction(i == 0)), 0);
          }
        }
}

TEST("a gradient straight into the state: what fails before it begins changes nothing") {
  const auto c = cases().back();
  for (const auto& make : makers) {
    const auto optimizer = make(c.model), other = make(c.model);
    CHECK_CODE(optimizer->accumulate_from(*token_batch(1, 3, 5, 1), {}, true), "ERR_INVALID_ARG_TYPE");
    optimizer->accumulate_from(*c.batch, {}, true);
    other->accumulate_from(*c.batch, {}, true);
    const at::Tensor inputs = c.batch->inputs().clone();
    inputs.fill_(std::numeric_limits<double>::infinity());
    const auto infinite = Batch::examples(inputs, c.batch->targets());
    CHECK_CODE(optimizer->accumulate_from(*infinite, {}, true), "ERR_NON_FINITE_LOSS");
    same_state(*optimizer, *other);
    CHECK(optimizer->direction(true)->norm() == other->direction(true)->norm());
  }
}

TEST("a gradient straight into the state: one that is cancelled half-way leaves a state that is refused until another is restored") {
  const auto batch = token_batch(3, 6, 300, 2, 5);
  for (const auto& make : makers) {
    PassOptions options;
    options.recompute = true;  // layers ask for cancellation on the way back too
    bool cancels = false;
    const auto on_begin = [&] { if (cancels) options.cancel.cancel(); };
    const auto model = std::make_shared<Model>(std::make_unique<Watched>(on_begin), at::kFloat, at::kFloat);
    randomize(*model, 3, 0.2);
    const auto optimizer = make(model);
    optimizer->accumulate_from(*batch, options, true);
    const auto state = copy_of(optimizer->state());
    const auto direction = optimizer->direction(true);
    cancels = true;
    CHECK_THROWS(optimizer->accumulate_from(*batch, options, true));
    CHECK(optimizer->steps() == 1);
    CHECK_CODE(optimizer->accumulate_from(*batch, {}, true), "ERR_OPTIMIZER_STATE");
    CHECK_CODE((optimizer->accumulate(*direction), 0), "ERR_OPTIMIZER_STATE");
    CHECK_CODE(optimizer->direction(true), "ERR_OPTIMIZER_STATE");
    CHECK_CODE(state_direction(optimizer, true), "ERR_OPTIMIZER_STATE");
    CHECK_CODE(optimizer->preconditioner(), "ERR_OPTIMIZER_STATE");
    CHECK_CODE((optimizer->step(0.1), 0), "ERR_OPTIMIZER_STATE");
    CHECK_CODE(optimizer->state(), "ERR_OPTIMIZER_STATE");
    optimizer->restore(1, state);
    const auto again = optimizer->direction(true);
    for (size_t i = 0; i < again->size(); i++) CHECK(same_bits((*again)[i], (*direction)[i]));
  }
}
