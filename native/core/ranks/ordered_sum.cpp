#include "ranks/ordered_sum.hpp"

#include <ATen/ops/zeros.h>

namespace critical_sharpness {

OrderedSum::OrderedSum(Group* group, at::TensorOptions options) : group_(group) {
  if (!group && !options.device().is_cpu()) there_ = at::zeros({}, options.dtype(at::kDouble));
}

void OrderedSum::add(const std::vector<at::Tensor>& mine, size_t count, const Cancellation& cancel) {
  if (!group_) {
    for (const auto& part : mine) {
      if (there_.defined()) there_.add_(part);
      else here_ += part.item<double>();
    }
    return;
  }
  const auto ranks = static_cast<size_t>(size());
  std::vector<double> row;
  for (const auto& part : mine) row.push_back(part.item<double>());
  row.resize((count + ranks - 1) / ranks, 0.0);
  row.push_back(cancel.is_set() ? 1 : 0);
  const auto rows = group_->all_gather(row);
  for (const auto& theirs : rows)
    if (theirs.back() != 0) throw Cancelled();
  for (size_t j = 0; j < count; j++) here_ += rows[j % ranks][j / ranks];
}

}  // namespace critical_sharpness
