#include <cstring>
#include <functional>
#include <numeric>

#include "check.hpp"
#include "curvature/curvature.hpp"
#include "decoders.hpp"
#include "errors.hpp"
#include "gpt2.hpp"
#include "krylov.hpp"
#include "network/mlp.hpp"
#include "state_direction.hpp"
#include "support.hpp"
#include "thread_group.hpp"
#include "vector_algebra.hpp"

using namespace critical_sharpness;
using namespace critical_sharpness::test;

namespace {

/// All that a measurement, its optimizer and a step leave: the same on every rank, and in one process.
struct Outcome {
  std::vector<double> numbers;
  std::vector<std::vector<uint8_t>> bytes;

  void add(const AccumulatedGradient& made) {
    numbers.insert(numbers.end(), {made.loss.loss, made.norm});
    numbers.insert(numbers.end(), made.slopes.begin(), made.slopes.end());
  }
  bool operator==(const Outcome& other) const {
    return bytes == other.bytes && numbers.size() == other.numbers.size() &&
           std::memcmp(numbers.data(), other.numbers.data(), numbers.size() * sizeof(double)) == 0;
  }
};

struct Case {
  std::function<std::unique_ptr<Network>()> network;
  std::function<std::shared_ptr<const Batch>()> batch;  // each rank's own, as processes have it: it keeps what one thread found out
  at::ScalarType weights = at::kFloat, compute = at::kFloat;
  int64_t micro_batch = 0;
  std::vector<bool> trainable = {};
  Initialization scheme = Initialization::normal;
};

std::vector<uint8_t> all_bytes(const ParameterVector& vector, size_t i) { return read_bytes(vector, i, 0, int64_t{1} << 40); }

Outcome run(const Case& c, std::shared_ptr<Group> group) {
  Outcome made;
  const auto model = std::make_shared<Model>(c.network(), c.weights, c.compute, at::kCPU, c.trainable, std::move(group));
  model->initialize(c.scheme, 5);
  const auto batch = c.batch();
  const PassOptions options{c.micro_batch, {}};
  made.numbers.push_back(model->loss(*batch, nullptr, options).loss);

  const size_t count = model->layout()->size();
  const std::shared_ptr<Optimizer> optimizer =
      make_adamw(model, {std::vector<double>(count, 1.0), std::vector<double>(count, 0.1)}, {0.9, 0.99, 1e-8});
  for (int step = 0; step < 2; step++) {
    made.add(optimizer->accumulate_from(*batch, options, true));
    const auto direction = state_direction(optimizer, true);
    for (const double learning_rate : {1e-3, 0.3})
      made.numbers.push_back(model->loss(*batch, std::make_unique<Perturbation>(Perturbation{direction, learning_rate}).get(), options).loss);
    const ExpertChanges changes = model->expert_changes(*batch, *direction, 0.3, options);
    made.numbers.insert(made.numbers.end(), {static_cast<double>(changes.changed), static_cast<double>(changes.of)});
    optimizer->step(0.01);
  }
  const auto weights = [&] {
    std::vector<std::vector<uint8_t>> all;
    for (size_t i = 0; i < count; i++) all.push_back(model->read_bytes(i, 0, int64_t{1} << 40));
    return all;
  };
  const auto before = weights();
  const auto saved = model->copy_weights();
  optimizer->step(0.5);
  model->restore_weights(*saved);
  CHECK(weights() == before);
  const auto stored = optimizer->direction(false);
  const GradientResult gradient = model->gradient(*batch, options);
  made.numbers.insert(made.numbers.end(), {stored->norm(), stored->dot(*gradient.gradient), gradient.loss});
  for (size_t i = 0; i < count; i++) {
    made.bytes.push_back(model->read_bytes(i, 0, int64_t{1} << 40));
    made.bytes.push_back(model->read_bytes(i, 70001, 999));
    made.bytes.push_back(all_bytes(*stored, i));
    made.bytes.push_back(all_bytes(*gradient.gradient, i));
    for (const auto& [role, state] : optimizer->state()) made.bytes.push_back(all_bytes(*state, i));
  }
  return made;
}

void check_ranks(const Case& c, const std::vector<int>& sizes = {1, 2, 3, 4}) {
  const Outcome alone = run(c, nullptr);
  for (const int size : sizes)
    for (const auto& groups : {thread_groups(size), nccl_groups(size)})
      for (const auto& outcome : on_ranks(groups, [&](const auto& group) { return run(c, group); })) CHECK(outcome == alone);
}

Case decoder_case(const DecoderDescription& d, int64_t rows, int64_t micro_batch) {
  return {[d] { return make_decoder(enlarged(d)); }, [rows] { return token_batch(rows, 7, 301, 3, 5); }, at::kFloat, at::kFloat, micro_batch};
}

}  // namespace

TEST("ranks: losses, gradients, states and steps have the bits of one process, whatever the decoder") {
  for (const auto& d : decoder_descriptions()) check_ranks(decoder_case(d, 5, 1), {2, 3});
}

TEST("ranks: the same where embedding and head are several times as large as a layer") {
  for (const bool tied : {true, false}) {
    Gpt2Description d = enlarged_gpt2(tied);
    d.vocabulary_size = 3000;
    check_ranks({[d] { return make_gpt2(d); }, [] { return token_batch(5, 7, 3000, 3, 5); }, at::kFloat, at::kFloat, 1}, {2, 3});
  }
}

TEST("ranks: the same where parameters are frozen, from the embedding up or down to the head") {
  for (const auto& d : {llama(), gemma()}) {
    Case c = decoder_case(d, 3, 1);
    const auto specs = c.network()->parameters();
    const auto trainable = [&](const std::function<bool(const std::string&)>& choose) {
      std::vector<bool> chosen;
      for (const auto& spec : specs) chosen.push_back(choose(spec.name));
      return chosen;
    };
    const auto has = [](const std::string& name, const char* part) { return name.find(part) != std::string::npos; };
    for (const auto& chosen : {trainable([&](const auto& name) { return !has(name, "embed"); }), trainable([&](const auto& name) { return has(name, "layers.1"); }),
                               trainable([&](const auto& name) { return has(name, "layers.0.q") || has(name, "layers.1.up"); }),
                               trainable([&](const auto& name) { return name == "norm.weight"; }), trainable([&](const auto& name) { return has(name, "embed"); }),
                               trainable([&](const auto& name) { return has(name, "head") || has(name, "layers.1.mlp_norm"); })}) {
      c.trainable = chosen;
      check_ranks(c, {2});
    }
  }
}

TEST("ranks: a network without blocks is whole on every rank, which takes its share of the rows") {
  const auto network = [] { return make_mlp({{30, 700, 5}, Activation::gelu, Loss::cross_entropy}); };
  check_ranks({network, [] { return example_batch(7, 30, 5, Loss::cross_entropy, 3); }, at::kFloat, at::kFloat, 2, {}, Initialization::pytorch}, {2, 3});
}

TEST("ranks: a rank keeps its part of the matrices alone, and files give it that") {
  const Case c = decoder_case(llama(), 2, 1);
  Model whole(c.network(), at::kFloat, at::kFloat);
  whole.initialize(Initialization::normal, 5);
  for (const int size : {2, 4}) {
    const auto bytes = on_ranks(size, [&](const auto& group) { return Model(c.network(), at::kFloat, at::kFloat, at::kCPU, {}, group).byte_length(); });
    for (const int64_t held : bytes) CHECK(held < whole.byte_length());
    CHECK(std::accumulate(bytes.begin(), bytes.end(), int64_t{0}) >= whole.byte_length());
  }
}

TEST("ranks: what needs whole matrices is refused by name") {
  const Case c = decoder_case(llama(), 2, 1);
  on_ranks(2, [&](const std::shared_ptr<Group>& group) {
    const auto model = std::make_shared<Model>(c.network(), at::kFloat, at::kFloat, at::kCPU, std::vector<bool>(), group);
    model->initialize(Initialization::normal, 5);
    const std::vector<double> ones(model->layout()->size(), 1.0);
    CHECK_CODE(make_muon(model, {ones, ones}, {}), "ERR_OUT_OF_RANGE");
    const auto direction = std::make_shared<ParameterVector>(ParameterVector::zeros(model->layout()));
    const Perturbation in_place{direction, 1, PerturbationMode::in_place};
    CHECK_CODE(model->loss(*c.batch(), &in_place, {}), "ERR_OUT_OF_RANGE");
    return 0;
  });
}

/// What products and a Krylov basis leave, and the bytes of its vectors here.
std::pair<Outcome, int64_t> curvature_of(const Case& c, const CurvatureOptions& options, const std::shared_ptr<Group>& group) {
  const auto model = std::make_shared<Model>(c.network(), c.weights, c.compute, at::kCPU, c.trainable, group);
  model->initialize(c.scheme, 5);
  Outcome found;
  const auto note = [&](const ParameterVector& vector) {
    for (size_t i = 0; i < model->layout()->size(); i++) found.bytes.push_back(all_bytes(vector, i));
  };
  const auto curvature = std::make_shared<Curvature>(model, c.batch(), options);
  for (const uint64_t seed : {1, 2}) {
    const auto made = curvature->product(random_vector(model->layout(), Distribution::normal, seed), {});
    found.numbers.push_back(made.slope);
    note(*made.product);
  }
  const auto scaling = std::make_shared<ParameterVector>(elementwise_product(random_vector(model->layout(), Distribution::rademacher, 3),
                                                                             random_vector(model->layout(), Distribution::normal, 4)));
  Krylov krylov(curvature, {scaling, 7});
  CHECK(krylov.start(nullptr));
  for (int k = 0; k < 4; k++) {
    const KrylovStep step = krylov.step({});
    found.numbers.insert(found.numbers.end(), step.coefficients.begin(), step.coefficients.end());
    found.numbers.push_back(step.beta);
  }
  krylov.restart(2, {0.5, 0.5, 0.5, 0.5, 0.5, -0.5, 0.5, -0.5});
  const KrylovStep step = krylov.step({});
  found.numbers.insert(found.numbers.end(), step.coefficients.begin(), step.coefficients.end());
  note(krylov.combination({0.3, -0.7, 0.2}));
  return {std::move(found), krylov.byte_length() - curvature->byte_length()};
}

TEST("ranks: products of both matrices and a Krylov basis have the bits of one process") {
  const auto hessian = curvature::Operator::hessian, gauss_newton = curvature::Operator::gauss_newton;
  Case frozen = decoder_case(llama(), 3, 1);
  for (const auto& spec : frozen.network()->parameters()) frozen.trainable.push_back(spec.name.find("layers.1") != std::string::npos);
  const Case tied{[] { return make_gpt2(enlarged_gpt2(true)); }, [] { return token_batch(5, 30, 301, 4, 6); }, at::kFloat, at::kFloat, 2};
  const Case perceptron{[] { return make_mlp({{30, 700, 5}, Activation::gelu, Loss::cross_entropy}); },
                        [] { return example_batch(7, 30, 5, Loss::cross_entropy, 3); }, at::kDouble, at::kDouble, 2, {}, Initialization::pytorch};
  for (const auto& [c, kind] : {std::pair{decoder_case(llama(), 5, 1), hessian}, {decoder_case(gemma(), 3, 1), gauss_newton}, {frozen, hessian},
                                {tied, hessian}, {tied, gauss_newton}, {perceptron, hessian}}) {
    const CurvatureOptions options{kind, c.micro_batch, /*keep=*/true};
    const Outcome alone = curvature_of(c, options, nullptr).first;
    for (const int size : {1, 2, 3, 4})
      for (const auto& groups : {thread_groups(size), nccl_groups(size)})
        for (const auto& [outcome, _] : on_ranks(groups, [&](const auto& group) { return curvature_of(c, options, group); }))
          CHECK(outcome == alone);
  }
  Case once = tied;
  once.micro_batch = 0;
  const CurvatureOptions keep{hessian, 0, true};
  const auto [alone, bytes] = curvature_of(once, keep, nullptr);
  for (const auto& [outcome, here] : on_ranks(2, [&](const auto& group) { return curvature_of(once, keep, group); })) {
    CHECK(outcome == alone);
    CHECK(10 * here < 7 * bytes);  // vectors are on every rank, and matrices of odd numbers of chunks are not halved
  }
}

TEST("ranks: a difference or a wish to stop is told to all before the pass, a failure takes all out of it") {
  const Case c = decoder_case(llama(), 4, 1);
  const auto code_of = [&](const auto& change) {
    std::vector<std::string> codes = on_ranks(2, [&](const std::shared_ptr<Group>& group) -> std::string {
      Model model(c.network(), at::kFloat, at::kFloat, at::kCPU, {}, group);
      model.initialize(Initialization::normal, 5);
      try {
        change(model, group->rank());
      } catch (const InputError& error) {
        return error.code + ": " + error.what();
      } catch (const Cancelled&) {
        return "cancelled";
      }
      return "";
    });
    CHECK(codes[0] == codes[1]);
    return codes[0];
  };
  const auto starts = [](const std::string& text, const char* with) { return text.starts_with(with); };
  CHECK(code_of([&](Model& model, int) { model.loss(*c.batch(), nullptr, {1, {}}); }).empty());
  CHECK(starts(code_of([&](Model& model, int rank) { model.loss(*c.batch(), nullptr, {1 + rank, {}}); }), "ERR_RANKS_DIFFER: Expected every rank to call \"loss\" with the same micro-batch"));
  CHECK(starts(code_of([&](Model& model, int rank) { model.loss(rank ? *token_batch(4, 7, 301, 9) : *c.batch(), nullptr, {1, {}}); }), "ERR_RANKS_DIFFER"));
  CHECK(starts(code_of([&](Model& model, int rank) { rank ? (void)model.gradient(*c.batch(), {1, {}}) : (void)model.loss(*c.batch(), nullptr, {1, {}}); }), "ERR_RANKS_DIFFER: Expected \"loss\", which rank 0 calls"));
  CHECK(code_of([&](Model& model, int rank) {
    const Cancellation cancel;
    if (rank == 1) cancel.cancel();
    model.loss(*c.batch(), nullptr, {1, cancel});
  }) == "cancelled");
}

TEST("ranks: one that asks to stop before its optimizer's first gradient is heard by all, and all go on") {
  const Case c = decoder_case(llama(), 4, 1);
  const auto losses = on_ranks(2, [&](const std::shared_ptr<Group>& group) {
    const auto model = std::make_shared<Model>(c.network(), at::kFloat, at::kFloat, at::kCPU, std::vector<bool>(), group);
    model->initialize(Initialization::normal, 5);
    const std::vector<double> ones(model->layout()->size(), 1.0);
    const auto optimizer = make_adamw(model, {ones, ones}, {0.9, 0.99, 1e-8});
    const Cancellation cancel;
    if (group->rank() == 1) cancel.cancel();
    bool cancelled = false;
    try {
      optimizer->accumulate_from(*c.batch(), {1, cancel}, true);
    } catch (const Cancelled&) {
      cancelled = true;
    }
    CHECK(cancelled);
    return optimizer->accumulate_from(*c.batch(), {1, {}}, true).loss.loss;
  });
  CHECK(losses[0] == losses[1]);
}

TEST("ranks: what is wrong with one's own part takes the others out of the call, with the reason") {
  const auto messages = on_ranks(2, [&](const std::shared_ptr<Group>& group) -> std::string {
    try {
      group->call({"loss", {}}, {}, [&] {
        if (group->rank() == 1) group->part([]() -> int { throw InputError(InputError::Kind::state, "ERR_PROGRAM", "Expected another row"); });
        return group->all_gather({1}).size();
      });
    } catch (const InputError& error) {
      return error.code + ": " + error.what();
    }
    return "";
  });
  CHECK(messages[0] == "ERR_RANK_LOST: Expected rank 1 to finish its part but received: Expected another row");
  CHECK(messages[1] == "ERR_PROGRAM: Expected another row");
}

TEST("ranks: the same with learned positions, tied and not, in every arithmetic, for uneven micro-batches") {
  for (const bool tied : {true, false})
    for (const auto& [weights, compute] : {std::pair{at::kFloat, at::kFloat}, {at::kFloat, at::kBFloat16}, {at::kDouble, at::kDouble}}) {
      Case c{[tied] { return make_gpt2(enlarged_gpt2(tied)); }, [] { return token_batch(5, 30, 301, 4, 6); }, weights, compute, 2};
      check_ranks(c);
      c.micro_batch = 0;
      check_ranks(c, {2});
    }
}
