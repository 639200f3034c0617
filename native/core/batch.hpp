#pragma once
#include <ATen/core/Tensor.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "objective/objective.hpp"

namespace critical_sharpness {

/// Fixed input of one loss. Immutable; made by the factories, which check everything that needs no model.
class Batch {
 public:
  enum class Kind { tokens, examples, named };
  /// Tensors by the names of a program's inputs.
  using Named = std::vector<std::pair<std::string, at::Tensor>>;
  /// Label of a token that does not count.
  static constexpr int64_t ignored = -100;

  /// inputs, labels: integers [batch, sequence], copied as int32; labels[b, t] follows inputs[b, t]. `relative_positions`: where a
  /// sequence starts is known only up to a constant, which rotary positions do not see. The event loop's thread may call it.
  static std::shared_ptr<const Batch> tokens(at::Tensor inputs, at::Tensor labels, bool relative_positions = false);
  /// inputs: float [n, features]; targets: float [n, out] or int64 [n].
  static std::shared_ptr<const Batch> examples(at::Tensor inputs, at::Tensor targets);
  /// Tensors of any dtypes, at least one. They have rows where their first axes are equal; else there is one.
  static std::shared_ptr<const Batch> named(Named tensors);
  /// The same rows with weights of their terms, float64 of the labels' shape, or [n] of examples: see weighted_objective.
  std::shared_ptr<const Batch> weighted(const at::Tensor& weights) const;
  /// The same rows of tokens as pairs, with float64 [batch]: see preference_objective.
  std::shared_ptr<const Batch> preferences(const at::Tensor& reference, PreferenceOptions options) const;

  Kind kind() const { return kind_; }
  bool relative_positions() const { return relative_positions_; }
  const at::Tensor& inputs() const { return inputs_; }
  const at::Tensor& targets() const { return targets_; }
  const Named& named() const { return named_; }
  int64_t rows() const { return kind_ == Kind::named ? count_ : inputs_.size(0); }
  /// Rows, or tokens whose label is not ignored.
  int64_t count() const { return count_; }
  /// Null: the sum of the terms, over their number.
  const Objective* objective() const { return objective_.get(); }
  /// What the sum of the terms, or the objective's f of them, is divided by: `count`, or the objective's.
  double normalizer() const { return objective_ ? objective_->normalizer() : static_cast<double>(count_); }
  /// Rows that belong together.
  int64_t rows_together() const { return objective_ ? objective_->rows_together() : 1; }
  /// Largest id among inputs (tokens) and among targets that count (class labels); −1 if none.
  int64_t largest_input() const { return largest_input_; }
  int64_t largest_target() const { return largest_target_; }
  /// The same on a device: itself, or a copy that is kept for the next time. On the compute thread only.
  const Batch* on(at::Device device) const;
  /// Rows [start, start + length) with ids as int64, for a pass. The count of tokens and examples is not computed (0).
  Batch slice(int64_t start, int64_t length) const;
  /// The same as a batch of its own, in the same memory, with its count: 0 if none of its labels counts. Throws where rows that
  /// belong together are parted.
  std::shared_ptr<const Batch> part(int64_t start, int64_t length) const;
  int64_t byte_length() const;
  /// Of its tensors' bytes, and its objective's, by which the ranks of a group tell whether they have the same. On the compute thread only.
  uint64_t digest() const;

 private:
  Batch() = default;
  at::Device device() const { return kind_ == Kind::named ? named_.front().second.device() : inputs_.device(); }
  /// Named tensors with each one changed so. All of the batch, where it has no rows, is its one row.
  template <class Change>
  Named changed(const Change& change) const;
  Kind kind_ = Kind::tokens;
  bool relative_positions_ = false;
  at::Tensor inputs_, targets_;
  Named named_;
  std::shared_ptr<const Objective> objective_;
  int64_t count_ = 0, largest_input_ = -1, largest_target_ = -1;
  /// What is found out of this batch once: a copy, which becomes another, begins without.
  struct Found {
    std::shared_ptr<const Batch> elsewhere;
    std::optional<uint64_t> digest;
    Found() = default;
    Found(const Found&) {}
    Found& operator=(const Found&) = delete;
  };
  mutable Found found_;
};

}  // namespace critical_sharpness
