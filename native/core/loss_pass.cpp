#include <ATen/core/LegacyTypeDispatch.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>

#include "model.hpp"
#include "ranks/ordered_sum.hpp"

namespace critical_sharpness {
namespace {

/// Numbers of activations that a loss over several micro-batches holds so that they share what is made of weights.
constexpr int64_t most_held = 1 << 25;

/// Numbers of activations that are kept from one pass to the next.
constexpr int64_t most_kept = 1 << 26;

/// While it lives, nothing is noted that only a derivative needs. Weights are no inference tensors, so that InferenceMode alone would
/// still note what is a view of them.
struct WithoutAutograd {
  c10::InferenceMode mode;
  at::AutoDispatchBelowADInplaceOrView below;
};

}  // namespace

at::ScalarType Model::dtype_of(const PassOptions& options) const {
  return options.float32 && compute_dtype_ == at::kBFloat16 ? at::kFloat : compute_dtype_;
}

Scratch& Model::scratch_of(const PassOptions& options) {
  return dtype_of(options) == compute_dtype_ ? scratch_ : float32_scratch_;
}

template <class Body>
void Model::through(ParameterView& own, const Direction* direction, double learning_rate, const PassOptions& options, const Body& body) {
  if (!layout_->shards) return body(own, options.cancel);
  GatherPass pass(*layout_, uses_of(*layout_, dtype_of(options)), weights_, direction, learning_rate);
  GatheredView gathered(weight_dtype_, *layout_, own, pass);
  // One rank alone must not leave a pass that the others are in: they ask each other between passes.
  body(gathered, Cancellation());
  pass.open_until(pass.uses());
}

double Model::mean_loss(ParameterView& own, const Direction* direction, double learning_rate, const Batch& batch,
                        const PassOptions& options) {
  OrderedSum sum(layout_->group.get(), layout_->options());
  const Batch& here = *batch.on(device());
  const auto rows = micro_batches(*network_, here, options);
  const auto ranks = static_cast<size_t>(sum.size()), rank = static_cast<size_t>(sum.rank());
  const auto part = [&](size_t j) { return here.slice(rows[j].start, rows[j].length); };
  for (size_t first = 0; first < rows.size();) {
    if (!layout_->group) options.cancel.check();
    // As many of the first rank's micro-batches as may be held; the others have no larger ones.
    std::vector<Batch> together;
    int64_t held = 0;
    size_t last = first;
    for (; last < rows.size(); last += ranks) {
      Batch next = part(last);
      const int64_t more = network_->numbers_held(next);
      if (last > first && held + more > most_held) break;
      held += more;
      together.push_back(std::move(next));
    }
    last = std::min(last, rows.size());
    if (rank > 0) {
      together.clear();
      for (size_t j = first + rank; j < last; j += ranks) together.push_back(part(j));
    }
    std::vector<at::Tensor> sums;
    through(own, direction, learning_rate, options, [&](ParameterView& view, const Cancellation& cancel) {
      if (together.empty()) return;
      view.enter(first, together.size());
      sums = own_part(layout_->group.get(), [&] { return network_->losses(view, std::exchange(together, {}), cancel); });
    });
    sum.add(sums, last - first, options.cancel);
    first = last;
  }
  return sum.value() / network_->normalizer(batch);
}

Call Model::call_of(const char* name, const Batch& batch, const PassOptions& options, double learning_rate) const {
  if (!layout_->group) return {};
  return {name,
          {{"weights", version()},
           {"batch", batch.digest()},
           {"micro-batch", static_cast<uint64_t>(options.micro_batch)},
           {"arithmetic", static_cast<uint64_t>(dtype_of(options))},
           {"kind of device", static_cast<uint64_t>(device().type())},
           {"learning rate", bits_of(learning_rate)}}};
}

std::optional<size_t> Model::segment_to_begin(const Direction& direction, const Batch& batch) const {
  if (layout_->group || !network_->is_resumable()) return std::nullopt;
  const auto blocks = network_->blocks();
  const auto moved = std::ranges::find_if(blocks, [&](const auto& block) {
    return std::ranges::any_of(block, [&](size_t parameter) { return direction.has(parameter); });
  });
  // Behind the embedding there is a segment for each block but the last, which is the head.
  const auto segment = moved - blocks.begin() - 1;
  if (moved == blocks.end() || segment < 1) return std::nullopt;
  if (network_->numbers_held(batch) > most_kept) return std::nullopt;
  return static_cast<size_t>(segment);
}

void Model::require_whole(const char* what) const {
  if (layout_->group)
    reject_range("Expected a model in one process for " + std::string(what) + " but received one over " +
                 std::to_string(layout_->group->size()) + " ranks");
}

LossResult Model::loss(const Batch& batch, const Perturbation* perturbation, const PassOptions& options) {
  return together(layout_->group.get(), call_of("loss", batch, options, perturbation ? perturbation->learning_rate : 0), options.cancel,
                  [&] { return own_loss(batch, perturbation, options); });
}

LossResult Model::own_loss(const Batch& batch, const Perturbation* perturbation, const PassOptions& options) {
  require_weights();
  check(batch);
  const WithoutAutograd no_autograd;
  if (!perturbation) {
    PlainView view(weights_, dtype_of(options), scratch_of(options));
    return {mean_loss(view, nullptr, 0, batch, options), version()};
  }
  const Direction& direction = *perturbation->direction;
  require_same_layout(*layout_, *direction.layout(), "the direction");
  direction.require_current();
  if (perturbation->mode == PerturbationMode::view) {
    if (const auto start = segment_to_begin(direction, batch)) {
      kept_.begin({batch.on(device())->inputs(), version(), dtype_of(options), options.micro_batch}, *start);
      ResumedView view(weights_, direction, perturbation->learning_rate, dtype_of(options), scratch_of(options), kept_, *start);
      return {mean_loss(view, &direction, perturbation->learning_rate, batch, options), version()};
    }
    kept_.clear();
    PerturbedView view(weights_, direction, perturbation->learning_rate, dtype_of(options), scratch_of(options));
    return {mean_loss(view, &direction, perturbation->learning_rate, batch, options), version()};
  }
  require_whole("the perturbation \"in-place\"");
  if (weight_dtype_ == at::kBFloat16)
    reject_range("Expected the perturbation \"view\" for bfloat16 weights but received \"in-place\": θ − ηΔ has no room in them");
  if (!device().is_cpu())
    reject_range("Expected the perturbation \"view\" for a model on " + device().str() + " but received \"in-place\", which is the CPU's");
  const InPlacePerturbation moved(weights_, require_stored(direction, "a perturbation in place"), perturbation->learning_rate,
                                  in_place_);
  PlainView view(weights_, dtype_of(options), scratch_of(options));
  return {mean_loss(view, nullptr, 0, batch, options), version()};
}

ExpertChanges Model::expert_changes(const Batch& batch, const Direction& direction, double learning_rate, const PassOptions& options) {
  return together(layout_->group.get(), call_of("expert changes", batch, options, learning_rate), options.cancel,
                  [&] { return own_expert_changes(batch, direction, learning_rate, options); });
}

ExpertChanges Model::own_expert_changes(const Batch& batch, const Direction& direction, double learning_rate, const PassOptions& options) {
  require_weights();
  check(batch);
  require_same_layout(*layout_, *direction.layout(), "the direction");
  direction.require_current();
  const WithoutAutograd no_autograd;
  PlainView plain(weights_, dtype_of(options), scratch_of(options));
  PerturbedView moved(weights_, direction, learning_rate, dtype_of(options), scratch_of(options));
  const Batch& here = *batch.on(device());
  const auto rows = micro_batches(*network_, here, options);
  Group* group = layout_->group.get();
  const size_t ranks = group ? static_cast<size_t>(group->size()) : 1, rank = group ? static_cast<size_t>(group->rank()) : 0;
  ExpertChanges mine;
  for (size_t first = 0; first < rows.size(); first += ranks) {
    if (!group) options.cancel.check();
    const size_t j = first + rank;
    const auto choices = [&](ParameterView& own, const Direction* along) {
      std::vector<at::Tensor> experts;
      through(own, along, learning_rate, options, [&](ParameterView& view, const Cancellation& cancel) {
        if (j >= rows.size()) return;
        view.put_choices(&experts);
        own_part(group, [&] { return network_->losses(view, {here.slice(rows[j].start, rows[j].length)}, cancel); });
        view.put_choices(nullptr);
      });
      return experts;
    };
    const auto before = choices(plain, nullptr), after = choices(moved, &direction);  // the order of arguments is the compiler's
    const ExpertChanges changes = compare(before, after);
    mine.changed += changes.changed;
    mine.of += changes.of;
  }
  if (!group) return mine;
  ExpertChanges all;
  for (const auto& row : group->all_gather({static_cast<double>(mine.changed), static_cast<double>(mine.of)})) {
    all.changed += static_cast<int64_t>(row[0]);
    all.of += static_cast<int64_t>(row[1]);
  }
  return all;
}

}  // namespace critical_sharpness
