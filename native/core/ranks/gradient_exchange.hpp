#pragma once
#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "ranks/group.hpp"
#include "ranks/shards.hpp"

namespace critical_sharpness {

/// Gradients on their way to the ranks that keep their parameters, which add them up in the order of micro-batches: the bits of one
/// process. At most one block is under way, while the next one is computed; large ones
/// travel in slices.
class GradientExchange {
 public:
  explicit GradientExchange(const Layout& layout) : layout_(layout), has_(layout.size()) {}
  /// Waits for what is under way, which reads and writes the rooms.
  ~GradientExchange();
  GradientExchange(const GradientExchange&) = delete;
  GradientExchange& operator=(const GradientExchange&) = delete;

  /// Before each round: so many ranks, the first ones, have a micro-batch in it.
  void begin_round(int present) { present_ = present; }
  /// `gradients`: of the block's parameters, whole; undefined or missing: none. They travel in `dtype`.
  void start(size_t block, at::ScalarType dtype, const std::vector<at::Tensor>& gradients);
  /// The gradients of parameters that every rank keeps.
  void share(const std::vector<size_t>& parameters, const std::vector<at::Tensor>& gradients);
  /// Until nothing is under way.
  void finish();
  /// What is kept here of a parameter's gradient, once all rounds are over. Undefined: none.
  at::Tensor sum(size_t parameter);
  /// Set in the last round: called for a block when its sums are whole, which are let go afterwards.
  std::function<void(size_t block)> on_block;

 private:
  struct Flight {
    Pending pending;
    size_t block;
    int64_t first;        // of each shard's numbers
    bool begins;          // the sum
    at::Tensor received;  // [ranks, numbers of a shard]
    at::Tensor given;     // [ranks, parameters]; with the first of a block
  };
  /// Numbers of a shard that are under way at once: a layer's. An embedding or a head may be many times as large.
  int64_t at_once(const ShardedBlock& block) const;
  at::Tensor buffer(at::Tensor& room, at::ScalarType dtype, at::IntArrayRef shape) const;
  /// Numbers of the block's gradients from `first` on.
  void write(const at::Tensor& out, const ShardedBlock& block, int64_t first, const std::vector<at::Tensor>& gradients) const;
  /// Until what is under way is added.
  void land();
  /// Which of the parameters have a gradient, from every rank: what no token went through has none anywhere.
  Pending start_given(const std::vector<at::Tensor>& gradients, size_t count, at::Tensor& given) const;
  void note_given(const std::vector<size_t>& parameters, const at::Tensor& given);
  void add(const at::Tensor& sum, const at::Tensor& parts, bool begins) const;

  const Layout& layout_;
  at::Tensor out_, in_;  // room for a slice on its way
  int present_ = 0;
  std::optional<Flight> flight_;
  std::map<size_t, at::Tensor> of_block_, of_parameter_;
  std::vector<bool> has_;  // of each parameter: a gradient in some micro-batch
};

}  // namespace critical_sharpness
