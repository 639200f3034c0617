#include "resumed_view.hpp"

#include <chrono>
#include <thread>

#include "check.hpp"
#include "decoders.hpp"
#include "decoder_description.hpp"
#include "support.hpp"

using namespace critical_sharpness;
using namespace critical_sharpness::test;

namespace {

/// Twice as many layers, of the same kinds.
DecoderDescription deep(DecoderDescription d) {
  const auto layers = d.layers;
  d.layers.insert(d.layers.end(), layers.begin(), layers.end());
  return d;
}

/// The part of a direction that moves one block.
std::shared_ptr<const Direction> part_of(const ParameterVector& direction, const std::vector<size_t>& block) {
  std::vector<at::Tensor> parts(direction.size());
  for (const size_t parameter : block) parts[parameter] = direction[parameter];
  return std::make_shared<ParameterVector>(direction.layout(), std::move(parts));
}

struct Subject {
  std::unique_ptr<Model> model;
  std::vector<std::vector<size_t>> blocks;
  std::shared_ptr<const ParameterVector> direction;

  Subject(const DecoderDescription& d, at::ScalarType weights, at::ScalarType compute) {
    model = std::make_unique<Model>(make_decoder(d), weights, compute);
    randomize(*model, 3, 0.1);
    blocks = model->network().blocks();
    direction = random_vector(model->layout(), 4);
  }

  double loss(const Batch& batch, const std::shared_ptr<const Direction>& part, double learning_rate, const PassOptions& options) const {
    const Perturbation perturbation{part, learning_rate, PerturbationMode::view};
    return model->loss(batch, &perturbation, options).loss;
  }

  /// The same of a pass that begins at the beginning.
  double whole_loss(const Batch& batch, const std::shared_ptr<const Direction>& part, double learning_rate, const PassOptions& options) const {
    loss(batch, direction, 1e-3, options);  // moves all, and so forgets what is kept
    return loss(batch, part, learning_rate, options);
  }

  /// Whether losses along the part that moves a block are those of passes that begin at the beginning.
  void check_block(const Batch& batch, size_t block, const PassOptions& options) const {
    const auto part = part_of(*direction, blocks[block]);
    const std::vector<double> rates{1e-3, 0.1};
    std::vector<double> resumed;
    for (const double rate : rates) resumed.push_back(loss(batch, part, rate, options));
    for (size_t i = 0; i < rates.size(); i++) CHECK(whole_loss(batch, part, rates[i], options) == resumed[i]);
    // The next block begins where this one does.
    loss(batch, part, 0.1, options);
  }
};

}  // namespace

TEST("resumed view: losses along the part of each block have the bits of passes from the beginning, whatever the decoder") {
  const auto batch = token_batch(5, 7, 301, 3, 5);
  const auto check = [&](const DecoderDescription& d, at::ScalarType weights, at::ScalarType compute) {
    const Subject subject(deep(enlarged(d)), weights, compute);
    for (const int64_t micro_batch : {0, 2})
      for (size_t block = 0; block < subject.blocks.size(); block++)
        if (!subject.blocks[block].empty()) subject.check_block(*batch, block, {micro_batch, {}});
  };
  for (const auto& d : decoder_descriptions()) check(d, at::kFloat, at::kFloat);
  for (const at::ScalarType weights : {at::kFloat, at::kBFloat16})
    for (const auto& d : {llama(), gemma(), neox()}) check(d, weights, at::kBFloat16);
}

TEST("resumed view: forwards, backwards, and at other batches, weights and micro-batches between") {
  const Subject subject(deep(enlarged(llama())), at::kFloat, at::kFloat);
  const auto batch = token_batch(5, 7, 301, 3), other = token_batch(5, 7, 301, 8);
  const size_t count = subject.blocks.size();
  // What each gives without anything kept.
  const auto whole = [&](const Batch& b, size_t block, const PassOptions& o) {
    return subject.whole_loss(b, part_of(*subject.direction, subject.blocks[block]), 0.1, o);
  };
  const auto kept = [&](const Batch& b, size_t block, const PassOptions& o) {
    return subject.loss(b, part_of(*subject.direction, subject.blocks[block]), 0.1, o);
  };
  for (const bool moved : {false, true}) {
    if (moved) subject.model->step(*subject.direction, 0.01);
    std::vector<double> all, small, others;
    for (size_t block = 1; block < count; block++) {
      all.push_back(whole(*batch, block, {}));
      small.push_back(whole(*batch, block, {2, {}}));
      others.push_back(whole(*other, block, {}));
    }
    for (size_t block = 1; block < count; block++) CHECK(kept(*batch, block, {}) == all[block - 1]);
    for (size_t block = count - 1; block >= 1; block--) CHECK(kept(*batch, block, {}) == all[block - 1]);
    for (size_t block = 1; block < count; block++) {
      CHECK(kept(*other, block, {}) == others[block - 1]);
      CHECK(kept(*batch, block, {2, {}}) == small[block - 1]);
      CHECK(kept(*batch, block, {}) == all[block - 1]);
    }
  }
}

TEST("resumed view: a pass that is stopped leaves nothing wrong behind") {
  const Subject subject(deep(enlarged(llama())), at::kFloat, at::kFloat);
  const auto batch = token_batch(6, 7, 301, 3);
  const auto part = part_of(*subject.direction, subject.blocks[subject.blocks.size() - 2]);
  const PassOptions options{1, {}};
  const double expected = subject.whole_loss(*batch, part, 0.1, options);
  for (int i = 0; i < 20; i++) {
    const PassOptions stopped{1, {}};
    std::thread other([&stopped, i] {
      std::this_thread::sleep_for(std::chrono::microseconds(100 * i));
      stopped.cancel.cancel();
    });
    try {
      subject.loss(*batch, part, 0.1, stopped);
    } catch (const Cancelled&) {
    }
    other.join();
    CHECK(subject.loss(*batch, part, 0.1, options) == expected);
    subject.model->gradient(*batch, options);  // forgets what is kept
  }
}

TEST("resumed view: segments whose stream is kept are passed over, and no others") {
  const auto layout = layout_of({{2, 2}}, at::kFloat);
  const std::vector<at::Tensor> weights{random_tensor({2, 2}, at::kFloat, 1)};
  const auto direction = random_vector(layout, 2);
  Scratch scratch(16, 16, at::kCPU);
  KeptStreams kept;
  const KeptStreams::Key key{tensor_of(std::vector<float>{1}), 1, at::kFloat, 0};
  const auto calls = [&](size_t start) {
    kept.begin(key, start);
    ResumedView view(weights, *direction, 0.1, at::kFloat, scratch, kept, start);
    std::vector<int> made;
    view.enter(0, 2);
    std::vector<at::Tensor> streams{tensor_of(std::vector<float>{0}), tensor_of(std::vector<float>{100})};
    for (int layer = 0; layer < 4; layer++)
      for (auto& x : streams)
        x = view.segment(x, [&](ParameterView&, const at::Tensor& in) {
          made.push_back(layer);
          return at::Tensor(in).add_(1);  // as a layer adds to the residual stream
        });
    CHECK(doubles_of(streams[0])[0] == 4 && doubles_of(streams[1])[0] == 104);
    return made;
  };
  CHECK(calls(1) == (std::vector<int>{0, 0, 1, 1, 2, 2, 3, 3}));
  CHECK(calls(1) == (std::vector<int>{1, 1, 2, 2, 3, 3}));
  CHECK(calls(3) == (std::vector<int>{1, 1, 2, 2, 3, 3}));
  CHECK(calls(3) == (std::vector<int>{3, 3}));
  CHECK(calls(4) == (std::vector<int>{3, 3}));
  CHECK(calls(4).empty());
  CHECK(calls(2) == (std::vector<int>{0, 0, 1, 1, 2, 2, 3, 3}));
  kept.begin({tensor_of(std::vector<float>{1}), 1, at::kFloat, 0}, 2);
  CHECK(kept.segments(0) == 0);
}
