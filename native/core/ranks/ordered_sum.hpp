#pragma once
#include <ATen/core/Tensor.h>

#include <vector>

#include "cancellation.hpp"
#include "ranks/group.hpp"

namespace critical_sharpness {

/// Sums of micro-batches, added up in their order whichever rank has which: j is rank j mod N's.
class OrderedSum {
 public:
  /// Null: one process has all.
  OrderedSum(Group* group, at::TensorOptions options);

  int size() const { return group_ ? group_->size() : 1; }
  int rank() const { return group_ ? group_->rank() : 0; }
  /// Takes this rank's among the next `count` micro-batches, each a number in float64. Over a group it ends the pass on every rank
  /// where one of them asks for that: throws Cancelled.
  void add(const std::vector<at::Tensor>& mine, size_t count, const Cancellation& cancel);
  double value() const { return there_.defined() ? there_.item<double>() : here_; }

 private:
  Group* group_;
  double here_ = 0;
  at::Tensor there_;  // on a device, which is not waited for between micro-batches
};

}  // namespace critical_sharpness
