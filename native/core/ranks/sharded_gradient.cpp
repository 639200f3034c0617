#include "ranks/sharded_gradient.hpp"

#include <algorithm>

#include "ranks/ordered_sum.hpp"
#include "ranks/recomputing_view.hpp"

namespace critical_sharpness {
namespace {

class ShardedGradient {
 public:
  ShardedGradient(const ShardedPass& pass, const Batch& batch, const PassOptions& options, const GradientSink& sink)
      : p_(pass),
        layout_(pass.layout),
        group_(*pass.layout.group),
        parts_(pass.network, pass.layout),
        batch_(batch),
        options_(options),
        sink_(sink),
        exchange_(pass.layout),
        losses_(&group_, pass.layout.options()),
        scale_(1 / pass.network.normalizer(batch)),
        dense_(pass.layout.size()) {
    for (size_t i = 0; i < layout_.size(); i++)
      if (layout_.is_whole(i) && layout_.is_trainable(i)) shared_.push_back(i);
  }

  double run() {
    const Batch& here = *batch_.on(layout_.device);
    const auto rows = micro_batches(p_.network, here, options_);
    const auto size = static_cast<size_t>(group_.size());
    const size_t rounds = (rows.size() + size - 1) / size;
    GatherPass pass(layout_, uses(rounds), p_.weights, nullptr, 0);
    for (size_t round = 0; round < rounds; round++) {
      const size_t first = round * size, present = std::min(size, rows.size() - first);
      const auto mine = first + static_cast<size_t>(group_.rank());
      is_last_ = round + 1 == rounds;
      if (is_last_) exchange_.on_block = [this](size_t block) { take(layout_.shards->blocks()[block].parameters); };
      exchange_.begin_round(static_cast<int>(present));
      if (mine < rows.size()) take_part(pass, here.slice(rows[mine].start, rows[mine].length), present);
      else serve(pass, present);
      exchange_.finish();
      std::vector<at::Tensor> gradients;
      for (const size_t i : shared_) gradients.push_back(mine < rows.size() ? std::exchange(leaves_[i].mutable_grad(), {}) : at::Tensor());
      exchange_.share(shared_, gradients);
    }
    take(shared_);
    return losses_.value() / p_.network.normalizer(batch_);
  }

 private:
  std::vector<GatherPass::Use> uses(size_t rounds) const {
    if (layout_.shards->order().empty()) return {};
    const auto forward = uses_of(layout_, p_.dtype);
    std::vector<GatherPass::Use> all;
    for (size_t round = 0; round < rounds; round++) {
      all.insert(all.end(), forward.begin(), forward.end());
      for (size_t n = parts_.head(); n-- > parts_.first_segment();) all.push_back(forward[n]);
    }
    return all;
  }

  /// Adds a round's losses, and begins with the gradient once all are known.
  void add_losses(const std::vector<at::Tensor>& mine, size_t present) {
    losses_.add(mine, present, options_.cancel);
    if (is_last_ && sink_.begin) sink_.begin(losses_.value() * scale_);
  }

  bool is_trainable(size_t part) const {
    const auto& members = layout_.shards->blocks()[layout_.shards->order()[part]].parameters;
    return std::any_of(members.begin(), members.end(), [this](size_t i) { return layout_.is_trainable(i); });
  }
  bool has_own_head() const { return layout_.shards->order().back() != layout_.shards->order().front(); }

  /// Sends a part's gradients on their way. A layer's come in the arithmetic of the pass and are the same numbers when they are
  /// widened after the way; those of embeddings and heads are sums already.
  void send(size_t part, std::vector<at::Tensor>& of_parameters) {
    if (!is_trainable(part)) return;
    const size_t block = layout_.shards->order()[part];
    std::vector<at::Tensor> gradients;
    for (const size_t i : layout_.shards->blocks()[block].parameters) gradients.push_back(std::exchange(of_parameters[i], {}));
    exchange_.start(block, part == 0 || part == parts_.head() ? layout_.dtype : p_.dtype, gradients);
  }
  void send_nothing(size_t part) {
    std::vector<at::Tensor> none(layout_.size());
    send(part, none);
  }

  void take_part(GatherPass& pass, const Batch& part, size_t present) {
    leaves_ = differentiable_leaves(p_.weights, layout_);
    PlainView plain(p_.weights, p_.dtype, p_.scratch);
    DifferentiableView own(p_.weights, leaves_, p_.dtype, plain, false);
    GatheredView gathered(p_.weights.front().scalar_type(), layout_, plain, pass);
    const auto add = [&](size_t i, const at::Tensor& gradient) {
      at::Tensor& sum = layout_.is_whole(i) ? leaves_[i].mutable_grad() : dense_[i];
      if (sum.defined()) sum.add_(gradient);
      else sum = gradient.to(layout_.dtype);
    };
    const auto back = [&](size_t segment) {
      std::vector<at::Tensor> gradients(layout_.size());
      for (const size_t i : layout_.shards->blocks()[layout_.shards->order()[segment]].parameters) {
        gradients[i] = leaves_[i].grad();
        leaves_[i] = at::Tensor();
      }
      send(segment, gradients);
    };
    RecomputingView recomputing(p_.weights.front().scalar_type(), layout_, parts_, {gathered, own, pass, leaves_}, add, back);
    const auto wanted = [this](size_t i) { return layout_.is_trainable(i); };
    const bool has_blocks = !layout_.shards->order().empty();
    // A tied head may just have read the same block, for another use.
    if (has_blocks) pass.open();
    const PendingGradient pending =
        group_.part([&] { return p_.network.differentiate({gathered, recomputing, scale_, wanted, add, {}}, part); });
    add_losses({pending.sum}, present);
    if (has_blocks && has_own_head()) send(parts_.head(), dense_);
    group_.part([&] { pending.backward(); });
    if (has_blocks) send(0, dense_);
  }

  /// Without a micro-batch of its own in a round a rank has its parts of weights and gradients to give.
  void serve(GatherPass& pass, size_t present) {
    const size_t parts = layout_.shards->order().size();
    for (size_t n = 0; n < parts; n++) pass.open();
    add_losses({}, present);
    if (parts == 0) return;
    if (has_own_head()) send_nothing(parts_.head());
    for (size_t n = parts_.head(); n-- > parts_.first_segment();) {
      pass.open();
      send_nothing(n);
    }
    send_nothing(0);
  }

  void take(const std::vector<size_t>& parameters) {
    for (const size_t i : parameters)
      if (layout_.is_trainable(i)) sink_.take(i, exchange_.sum(i));
  }

  const ShardedPass& p_;
  const Layout& layout_;
  Group& group_;
  Parts parts_;
  const Batch& batch_;
  const PassOptions& options_;
  const GradientSink& sink_;
  GradientExchange exchange_;
  OrderedSum losses_;
  double scale_;
  bool is_last_ = false;
  std::vector<size_t> shared_;        // trainable, and whole on every rank
  std::vector<at::Tensor> leaves_;    // of what is kept here; of a segment's matrices while it is gone through on the way back
  std::vector<at::Tensor> dense_;     // whole gradients of embeddings and heads, of one micro-batch
};

}  // namespace

double differentiate_shards(const ShardedPass& pass, const Batch& batch, const PassOptions& options, const GradientSink& sink) {
  return ShardedGradient(pass, batch, options, sink).run();
}

}  // namespace critical_sharpness
