// Losses along Δ that stay outside θ's numbers, over ranks: −ηΔ beside bfloat16 weights, and factors applied to what a layer reads.
#include <cstring>

#include "check.hpp"
#include "decoders.hpp"
#include "gpt2.hpp"
#include "state_direction.hpp"
#include "support.hpp"
#include "thread_group.hpp"

using namespace critical_sharpness;
using namespace critical_sharpness::test;

namespace {

using MakeNetwork = std::function<std::unique_ptr<Network>()>;

std::vector<MakeNetwork> networks() {
  std::vector<MakeNetwork> all;
  for (const bool tied : {true, false}) all.push_back([tied] { return make_gpt2(enlarged_gpt2(tied)); });
  for (const auto& d : {llama(), gemma(), adapted(llama()), mixture(llama(), true)}) all.push_back([d] { return make_decoder(enlarged(d)); });
  return all;
}

std::shared_ptr<const Batch> batch() { return token_batch(5, 7, 301, 3, 5); }
constexpr double rates[] = {0.0, 1e-3, 0.3};

/// body(group)'s numbers, which must be the same in one process and on every rank.
template <class Body>
void check_same(const Body& body) {
  const std::vector<double> alone = body(nullptr);
  for (const auto& groups : {thread_groups(3), nccl_groups(2)})
    for (const std::vector<double>& here : on_ranks(groups, body)) {
      CHECK(here.size() == alone.size());
      CHECK(std::memcmp(here.data(), alone.data(), alone.size() * sizeof(double)) == 0);
    }
}

/// Factors of every matrix and numbers of every other vector, as all ranks give them.
std::shared_ptr<const Direction> factors_of(const Model& model) {
  const Layout& layout = *model.layout();
  std::vector<kernels::Delta> parts(layout.size());
  for (size_t i = 0; i < layout.size(); i++) {
    const auto& shape = layout.parameters[i].shape;
    if (shape.size() == 2)
      parts[i] = kernels::low_rank_delta(model.parameter(i), {random_tensor({shape[0], 3}, layout.dtype, 2 * i + 100, 0.1),
                                                              random_tensor({3, shape[1]}, layout.dtype, 2 * i + 101, 0.1), 0.7});
    else if (i % 2 == 0) parts[i] = kernels::StoredDelta{random_tensor(shape, layout.dtype, 2 * i + 100)};
  }
  return assembled_direction(model.layout(), std::move(parts));
}

}  // namespace

TEST("ranks: losses along Δ beside bfloat16 weights have the bits of one process") {
  for (const auto& network : networks())
    for (const bool float32 : {false, true})
      check_same([&](const std::shared_ptr<Group>& group) {
        const auto model = std::make_shared<Model>(network(), at::kBFloat16, at::kBFloat16, at::kCPU, std::vector<bool>(), group);
        model->initialize(Initialization::normal, 5);
        const std::vector<double> ones(model->layout()->size(), 1.0);
        const std::shared_ptr<Optimizer> optimizer = make_adamw(model, {ones, ones}, {0.9, 0.99, 1e-8});
        std::vector<double> found{optimizer->accumulate_from(*batch(), {1, {}}, true).loss.loss};
        const auto made = state_direction(optimizer, true);
        const auto stored = optimizer->direction(false);
        for (const auto& direction : {made, std::shared_ptr<const Direction>(stored)})
          for (const double rate : rates) {
            const Perturbation moved{direction, rate, PerturbationMode::view};
            PassOptions options{1, {}};
            options.float32 = float32;
            found.push_back(model->loss(*batch(), &moved, options).loss);
            const ExpertChanges changes = model->expert_changes(*batch(), *direction, rate, options);
            found.push_back(static_cast<double>(changes.changed));
          }
        return found;
      });
}

TEST("ranks: losses along factors have the bits of one process, and so have sums, bytes and steps of them") {
  for (const auto& network : networks())
    for (const auto& [weights, compute] : {std::pair{at::kFloat, at::kFloat}, {at::kFloat, at::kBFloat16}, {at::kBFloat16, at::kBFloat16}})
      check_same([&](const std::shared_ptr<Group>& group) {
        const auto model = std::make_shared<Model>(network(), weights, compute, at::kCPU, std::vector<bool>(), group);
        model->initialize(Initialization::normal, 5);
        const auto direction = factors_of(*model);
        std::vector<double> found{direction->norm(), direction->dot(*direction)};
        for (const double rate : rates) {
          const Perturbation moved{direction, rate, PerturbationMode::view};
          found.push_back(model->loss(*batch(), &moved, {1, {}}).loss);
        }
        const std::vector<uint8_t> bytes = read_bytes(*direction, 0, 4 * 16384 - 8, 16);
        found.insert(found.end(), bytes.begin(), bytes.end());
        if (weights == at::kBFloat16) return found;
        model->step(*direction, 0.05);
        found.push_back(model->loss(*batch(), nullptr, {1, {}}).loss);
        return found;
      });
}
