#include "ranks/vector_sum.hpp"

#include <algorithm>
#include <utility>

namespace critical_sharpness {

VectorSum::VectorSum(const Layout& layout) : layout_(layout), sums_(layout.size()), exchange_(layout) {
  if (!layout.group) return;
  const auto is_trainable = [&](size_t i) { return layout.is_trainable(i); };
  const auto& blocks = layout.shards->blocks();
  for (size_t b = 0; b < blocks.size(); b++)
    if (std::any_of(blocks[b].parameters.begin(), blocks[b].parameters.end(), is_trainable)) blocks_.push_back(b);
  for (size_t i = 0; i < layout.size(); i++)
    if (layout.is_whole(i) && is_trainable(i)) shared_.push_back(i);
}

void VectorSum::add(std::vector<at::Tensor> mine, size_t count) {
  mine.resize(layout_.size());
  if (!layout_.group) {
    for (size_t i = 0; i < mine.size(); i++) {
      if (!sums_[i].defined()) sums_[i] = std::move(mine[i]);
      else if (mine[i].defined()) sums_[i].add_(mine[i]);
    }
    return;
  }
  const auto of = [&](const std::vector<size_t>& parameters) {
    std::vector<at::Tensor> some;
    for (const size_t i : parameters) some.push_back(std::exchange(mine[i], at::Tensor()));
    return some;
  };
  exchange_.begin_round(static_cast<int>(count));
  for (const size_t b : blocks_) exchange_.start(b, layout_.dtype, of(layout_.shards->blocks()[b].parameters));
  exchange_.finish();
  exchange_.share(shared_, of(shared_));
}

std::vector<at::Tensor> VectorSum::take() {
  std::vector<at::Tensor> sums;
  for (size_t i = 0; i < layout_.size(); i++) {
    const at::Tensor sum = layout_.group ? exchange_.sum(i) : std::exchange(sums_[i], at::Tensor());
    sums.push_back(sum.defined() ? sum.contiguous() : sum);
  }
  return sums;
}

}  // namespace critical_sharpness
