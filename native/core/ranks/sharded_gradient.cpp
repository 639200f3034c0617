#include "ranks/sharded_gradient.hpp"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/embedding_dense_backward.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>

#include "ranks/ordered_sum.hpp"
#include "record.hpp"

namespace critical_sharpness {
namespace {

/// Which parts of a pass have parameters to differentiate by: the embedding is part 0, the head the last.
struct Parts {
  std::vector<std::vector<size_t>> parameters;
  size_t first_trainable;  // as many as there are, where none is

  Parts(const Network& network, const Layout& layout) : parameters(network.blocks()) {
    const auto found = std::find_if(parameters.begin(), parameters.end(), [&](const auto& members) {
      return std::any_of(members.begin(), members.end(), [&](size_t i) { return layout.is_trainable(i); });
    });
    first_trainable = static_cast<size_t>(found - parameters.begin());
  }
  size_t head() const { return parameters.size() - 1; }
  /// The first segment that is gone through on the way back.
  size_t first_segment() const { return std::max<size_t>(first_trainable, 1); }
};

/// Parameters as a gradient over ranks reads them. A segment keeps its input alone, and is computed again on the way back with
/// weights that are gathered again: no gathered weight outlives its block.
class RecordingView final : public ParameterView {
 public:
  /// `own`: of what every rank keeps. `add(parameter, gradient)`; `back(segment)`, when leaves[…].grad() of its matrices are whole.
  RecordingView(at::ScalarType weight_dtype, GatheredView& gathered, DifferentiableView& own, const Layout& layout,
                const Parts& parts, std::vector<at::Tensor>& leaves, GatherPass& pass, std::function<void(size_t, const at::Tensor&)> add, std::function<void(size_t)> back)
      : ParameterView(weight_dtype, gathered.compute_dtype()),
        gathered_(gathered),
        own_(own),
        layout_(layout),
        parts_(parts),
        leaves_(leaves),
        pass_(pass),
        add_(std::move(add)),
        back_(std::move(back)),
        start_(at::zeros({1}, layout.options()).requires_grad_(true)) {}

  at::Tensor value(size_t index, at::ScalarType dtype) override {
    return layout_.is_whole(index) ? own_.value(index, dtype) : leaves_[index].to(dtype);
  }
  at::Tensor embedding(const at::Tensor& ids, size_t weight) override { return own_.embedding(ids, weight); }
  at::Tensor embedding_but(int64_t padding, const at::Tensor& ids, size_t weight) override {
    return own_.embedding_but(padding, ids, weight);
  }
  void leave(const at::Tensor& inputs, std::shared_ptr<Balance> balance) override { gathered_.leave(inputs, std::move(balance)); }

  at::Tensor embed(const at::Tensor& ids, size_t tokens, std::optional<size_t> positions, int64_t padding) override {
    if (layout_.is_whole(tokens)) return ParameterView::embed(ids, tokens, positions, padding);
    const at::NoGradGuard closed_form;
    const at::Tensor rows = gathered_.embed(ids, tokens, positions, padding);
    if (parts_.first_trainable > 0) return rows;
    return record({start_}, rows, [this, ids, tokens, positions, padding](const at::Tensor& gradient) {
      const at::Tensor by_row = gradient.view({ids.size(0), ids.size(1), -1});
      const auto add = [&](size_t index, const at::Tensor& of_rows, const at::Tensor& at, int64_t constant) {
        if (layout_.is_trainable(index))
          add_(index, at::embedding_dense_backward(of_rows, at, layout_.parameters[index].shape[0], constant, false));
      };
      add(tokens, by_row, ids, padding);
      if (positions) add(*positions, by_row.sum(0), at::arange(ids.size(1), ids.options()), -1);
      return std::vector{at::Tensor()};
    });
  }

  at::Tensor segment(const at::Tensor& x, const Segment& body) override {
    if (layout_.shards->order().empty()) return body(*this, x);
    const size_t number = ++segments_;
    const at::NoGradGuard once;
    const at::Tensor input = x.detach();
    const at::Tensor out = body(gathered_, input.clone());
    if (number < parts_.first_trainable) return out;
    return record({x.requires_grad() ? x : start_}, out, [this, body, input, number, continues = x.requires_grad()](const at::Tensor& gradient) {
      for (const size_t i : layout_.shards->blocks()[layout_.shards->order()[number]].parameters)
        leaves_[i] = pass_.whole(i).detach().requires_grad_(layout_.is_trainable(i));
      const at::AutoGradMode again(true);
      const at::Tensor in = input.detach().requires_grad_(continues), computed = body(*this, in);
      torch::autograd::backward({computed}, {gradient});
      back_(number);
      return std::vector{in.grad()};
    });
  }

 private:
  GatheredView& gathered_;
  DifferentiableView& own_;
  const Layout& layout_;
  const Parts& parts_;
  std::vector<at::Tensor>& leaves_;
  GatherPass& pass_;
  std::function<void(size_t, const at::Tensor&)> add_;
  std::function<void(size_t)> back_;
  at::Tensor start_;  // what a graph begins with, where nothing before needs a gradient
  size_t segments_ = 0;
};

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
        exchange_(pass.layout, pass.exchanges),
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
    GatherPass pass(layout_, uses(rounds), p_.weights, nullptr, 0, p_.gathers);
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
    RecordingView recording(p_.weights.front().scalar_type(), gathered, own, layout_, parts_, leaves_, pass, add, back);
    const auto wanted = [this](size_t i) { return layout_.is_trainable(i); };
    const bool has_blocks = !layout_.shards->order().empty();
    // A tied head may just have read the same block, for another use.
    if (has_blocks) pass.open();
    const PendingGradient pending = p_.network.differentiate({gathered, recording, scale_, wanted, add, {}}, part);
    add_losses({pending.sum}, present);
    if (has_blocks && has_own_head()) send(parts_.head(), dense_);
    pending.backward();
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
