#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "parameter_view.hpp"
#include "ranks/group.hpp"
#include "ranks/shards.hpp"
#include "ranks/shared_rooms.hpp"

namespace critical_sharpness {

/// The blocks of a pass, whole, one after the other: while one is used, the next is under way.
class GatherPass {
 public:
  struct Use {
    size_t block;
    at::ScalarType dtype;
    bool by_rows = false;  // that an embedding picks; else by linear layers
  };
  /// Of `weights`, what is kept of them here; with a direction of θ − ηΔ, which is so made once in the group.
  GatherPass(const Layout& layout, std::vector<Use> uses, const std::vector<at::Tensor>& weights, const Direction* direction,
             double learning_rate);
  /// Waits for what is under way, which reads and writes the rooms.
  ~GatherPass();
  GatherPass(const GatherPass&) = delete;
  GatherPass& operator=(const GatherPass&) = delete;

  /// A sharded parameter of the open block or, which is opened then, of the next, without what `step` and `factors` have of θ − ηΔ. It
  /// lasts until the block after that is opened.
  at::Tensor whole(size_t parameter);
  /// −ηΔ of a parameter that `whole` has just given, where it is a product of its own. Undefined: none.
  at::Tensor step(size_t parameter) const;
  /// Its low-rank Δ, where that is applied to what the layer reads.
  std::optional<kernels::LowRank> factors(size_t parameter) const;
  double learning_rate() const { return learning_rate_; }
  /// Opens the next block.
  void open();
  /// Opens blocks until so many have been: for the other ranks, which need this one's part of each.
  void open_until(size_t uses);
  size_t uses() const { return uses_.size(); }

 private:
  /// Makes this rank's part of the next block that is not under way yet.
  void start();
  /// The same, unless another rank still reads what was in its room.
  void start_if_free();
  /// Uses of shared rooms which all ranks must have read before that: all but the one before it, which has another room.
  uint64_t uses_before_next_room() const;
  kernels::Delta delta(size_t parameter) const { return direction_ ? direction_->delta(parameter) : kernels::Delta(); }
  /// What of θ − ηΔ stays outside θ's numbers in a use: as in PerturbedView.
  bool has_factors(const Use& use, size_t parameter) const;
  bool has_step(const Use& use, size_t parameter) const;
  /// Writes this rank's part of a block.
  void write(const Use& use, const at::Tensor& theta, const at::Tensor& steps) const;
  at::Tensor of_open_block(const at::Tensor& numbers, size_t parameter) const;
  /// For each use one of the rooms: never that of the use before.
  static std::vector<size_t> rooms_of(const std::vector<int64_t>& bytes);
  /// [1, numbers of the block]; [2, numbers], where −ηΔ goes beside θ.
  at::Tensor room(size_t use) const;

  const Layout& layout_;
  std::vector<Use> uses_;
  std::vector<bool> has_steps_;
  std::vector<size_t> rooms_;
  const std::vector<at::Tensor>& weights_;
  const Direction* direction_;
  double learning_rate_;
  std::shared_ptr<SharedRooms> shared_;  // null: of this rank alone, and the others' parts are copied
  uint64_t first_ = 0;                   // of the uses of shared rooms
  std::vector<at::Tensor> room_;         // two that take turns, and one for blocks that are much larger
  size_t opened_ = 0, started_ = 0;
  Pending under_way_;
};

/// How a pass without derivatives reads parameters of which this rank keeps a part: the matrices from the pass, as θ or θ − ηΔ,
/// the rest through `own`.
class GatheredView final : public ParameterView {
 public:
  GatheredView(at::ScalarType weight_dtype, const Layout& layout, ParameterView& own, GatherPass& pass)
      : ParameterView(weight_dtype, own.compute_dtype()), layout_(layout), own_(own), pass_(pass) {}
  at::Tensor value(size_t index, at::ScalarType dtype) override;
  at::Tensor embedding(const at::Tensor& ids, size_t weight) override;
  Linear open_linear(size_t weight, std::optional<size_t> bias, Storage storage) override;

 private:
  const Layout& layout_;
  ParameterView& own_;
  GatherPass& pass_;
};

/// Of a pass over a network's blocks, in the arithmetic `compute_dtype`.
std::vector<GatherPass::Use> uses_of(const Layout& layout, at::ScalarType compute_dtype);

}  // namespace critical_sharpness
