// Directions of low rank, applied to what a layer reads, against the same numbers stored.
#include <ATen/ops/matmul.h>

#include "check.hpp"
#include "direction.hpp"
#include "gpt2.hpp"
#include "support.hpp"

using namespace critical_sharpness;
using namespace critical_sharpness::test;

namespace {

Gpt2Description description(bool tied) {
  Gpt2Description d;
  d.vocabulary_size = 31;
  d.context_length = 16;
  d.width = 24;
  d.layers = 2;
  d.heads = 2;
  d.inner_width = 48;
  d.tied = tied;
  return d;
}

/// Factors of rank 3 of every matrix, numbers of every other vector, nothing of the rest.
std::shared_ptr<const Direction> mixed(const Model& model) {
  const Layout& layout = *model.layout();
  std::vector<kernels::Delta> parts(layout.size());
  for (size_t i = 0; i < layout.size(); i++) {
    const auto& shape = layout.parameters[i].shape;
    if (shape.size() == 2)
      parts[i] = kernels::low_rank_delta(model.parameter(i), {random_tensor({shape[0], 3}, layout.dtype, 2 * i + 100),
                                                              random_tensor({3, shape[1]}, layout.dtype, 2 * i + 101), 0.7});
    else if (i % 2 == 0) parts[i] = kernels::StoredDelta{random_tensor(shape, layout.dtype, 2 * i + 100)};
  }
  return assembled_direction(model.layout(), std::move(parts));
}

}  // namespace

TEST("a direction of low rank: losses are those of its numbers, sums and steps have their bits") {
  const auto batch = token_batch(3, 9, 31, 2);
  for (const auto& [weights, compute, tolerance] :
       {std::tuple{at::kDouble, at::kDouble, 1e-13}, {at::kFloat, at::kFloat, 2e-6}, {at::kFloat, at::kBFloat16, 1e-9}, {at::kBFloat16, at::kBFloat16, 2e-2}})
    for (const bool tied : {true, false}) {
      Model model(make_gpt2(description(tied)), weights, compute);
      if (weights == at::kBFloat16) model.initialize(Initialization::gpt2, 1);
      else randomize(model, 5, 0.3);
      const auto direction = mixed(model);
      const auto stored = std::make_shared<ParameterVector>(store(*direction));
      CHECK(!direction->as_stored() && direction->byte_length() < stored->byte_length() && direction->has(0) && !direction->has(5));
      for (const double eta : {0.0, 0.01, -0.1})
        for (const int64_t micro_batch : {0, 1}) {
          const Perturbation a{direction, eta, PerturbationMode::view}, b{stored, eta, PerturbationMode::view};
          const double loss = model.loss(*batch, &a, {.micro_batch = micro_batch}).loss;
          CHECK_CLOSE(loss, model.loss(*batch, &b, {.micro_batch = micro_batch}).loss, tolerance * std::abs(loss));
        }
      CHECK(direction->dot(*stored) == stored->dot(*stored));
      CHECK_CLOSE(direction->norm(), stored->norm(), 1e-6 * stored->norm());
      CHECK(read_bytes(*direction, 0, 5, 40) == read_bytes(*stored, 0, 5, 40));
      std::vector<bool> keep(model.layout()->size(), false);
      keep[0] = true;
      CHECK(direction->masked(keep)->has(0) && !direction->masked(keep)->has(1));

      const Perturbation in_place{direction, 0.1, PerturbationMode::in_place};
      CHECK_CODE(model.loss(*batch, &in_place, {}), weights == at::kBFloat16 ? "ERR_OUT_OF_RANGE" : "ERR_DIRECTION_NOT_STORED");
      if (weights == at::kBFloat16) continue;
      // A step of either has the bits that a loss at θ − ηΔ of the numbers reads.
      const Perturbation moved{stored, 0.05, PerturbationMode::view};
      const double expected = model.loss(*batch, &moved, {}).loss;
      const auto before = copy_weights(model);
      model.step(*direction, 0.05);
      CHECK(model.loss(*batch, nullptr, {}).loss == expected);
      const auto after = copy_weights(model);
      for (size_t i = 0; i < before.size(); i++) model.weights_to_change()[i].copy_(before[i]);
      model.step(*stored, 0.05);
      CHECK(same_weights(model, after));
    }
}

TEST("a loss over micro-batches makes θ − ηΔ once, and has the bits of micro-batches one by one") {
  const auto batch = token_batch(5, 9, 31, 2);
  for (const auto compute : {at::kFloat, at::kBFloat16}) {
    Model model(make_gpt2(description(true)), at::kFloat, compute);
    randomize(model, 5, 0.3);
    const auto v = random_vector(model.layout(), 3);
    const Perturbation moved{v, 0.02, PerturbationMode::view};
    for (const Perturbation* p : {static_cast<const Perturbation*>(nullptr), &moved})
      for (const int64_t micro_batch : {1, 2}) {
        double sum = 0;
        for (int64_t start = 0; start < 5; start += micro_batch) {
          const auto part = batch->part(start, std::min<int64_t>(micro_batch, 5 - start));
          sum += model.loss(*part, p, {}).loss * static_cast<double>(part->count());
        }
        CHECK_CLOSE(model.loss(*batch, p, {.micro_batch = micro_batch}).loss, sum / static_cast<double>(batch->count()), 1e-14);
      }
  }
}
