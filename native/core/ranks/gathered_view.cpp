#include "ranks/gathered_view.hpp"

#include <ATen/ops/embedding.h>
#include <ATen/ops/empty.h>

#include <algorithm>

#include "kernels/perturb.hpp"

namespace critical_sharpness {

GatherPass::GatherPass(const Layout& layout, std::vector<Use> uses, const std::vector<at::Tensor>& weights,
                       const Direction* direction, double learning_rate, GatherBuffers& buffers)
    : layout_(layout),
      uses_(std::move(uses)),
      weights_(weights),
      direction_(direction),
      learning_rate_(learning_rate),
      buffers_(buffers) {
  std::vector<int64_t> bytes;
  for (const auto& [block, dtype] : uses_)
    bytes.push_back(layout.shards->blocks()[block].shard * layout.group->size() * static_cast<int64_t>(c10::elementSize(dtype)));
  rooms_ = rooms_of(bytes);
  for (size_t use = 0; use < bytes.size(); use++) {
    at::Tensor& room = buffers_.rooms[rooms_[use]];
    if (!room.defined() || room.numel() < bytes[use]) room = at::empty({bytes[use]}, layout.options().dtype(at::kByte));
  }
  start();
}

GatherPass::~GatherPass() {
  try {
    under_way_.wait();
  } catch (...) {
    // Whoever comes next on a broken group hears of it.
  }
}

std::vector<size_t> GatherPass::rooms_of(const std::vector<int64_t>& bytes) {
  constexpr size_t large = 2;
  const int64_t largest = bytes.empty() ? 0 : *std::max_element(bytes.begin(), bytes.end());
  std::vector<size_t> rooms;
  for (const int64_t block : bytes) {
    const size_t before = rooms.empty() ? 1 : rooms.back();
    if (block > largest / 2 && before != large) rooms.push_back(large);
    else rooms.push_back(before == 0 ? 1 : 0);
  }
  return rooms;
}

at::Tensor GatherPass::room(size_t use) const {
  const auto& [block, dtype] = uses_[use];
  const int64_t numbers = layout_.shards->blocks()[block].shard * layout_.group->size();
  return buffers_.rooms[rooms_[use]].narrow(0, 0, numbers * static_cast<int64_t>(c10::elementSize(dtype))).view(dtype);
}

void GatherPass::write(const at::Tensor& out, size_t parameter) const {
  const kernels::Delta delta = direction_ ? direction_->delta(parameter) : kernels::Delta();
  const at::Tensor& weight = weights_[parameter];
  if (kernels::is_zero(delta) && weight.scalar_type() == out.scalar_type()) out.copy_(weight);
  else kernels::perturb(out, weight, delta, learning_rate_);
}

void GatherPass::start() {
  if (started_ == uses_.size()) return;
  const ShardedBlock& block = layout_.shards->blocks()[uses_[started_].block];
  const at::Tensor all = room(started_), mine = all.narrow(0, block.shard * layout_.group->rank(), block.shard);
  for (const size_t i : block.parameters) {
    const int64_t length = layout_.local_numel(i);
    if (length > 0) write(mine.narrow(0, layout_.shards->place_in_shard(i), length), i);
  }
  under_way_ = layout_.group->start_all_gather(all, mine);
  started_++;
}

void GatherPass::open() {
  TORCH_INTERNAL_ASSERT(opened_ < uses_.size());
  layout_.group->wait(under_way_);
  opened_++;
  start();
}

void GatherPass::open_until(size_t uses) {
  while (opened_ < uses) open();
}

at::Tensor GatherPass::whole(size_t parameter) {
  const size_t block = *layout_.shards->block_of(parameter);
  if (opened_ == 0 || uses_[opened_ - 1].block != block) open();
  TORCH_INTERNAL_ASSERT(uses_[opened_ - 1].block == block, "a pass reads its blocks in their order");
  const auto& [parameters, offsets, _] = layout_.shards->blocks()[block];
  const auto place = static_cast<size_t>(std::find(parameters.begin(), parameters.end(), parameter) - parameters.begin());
  const ParameterSpec& spec = layout_.parameters[parameter];
  return room(opened_ - 1).narrow(0, offsets[place], spec.numel()).view(spec.shape);
}

at::Tensor GatheredView::value(size_t index, at::ScalarType dtype) {
  if (layout_.is_whole(index)) return own_.value(index, dtype);
  return pass_.whole(index).to(dtype);
}

at::Tensor GatheredView::embedding(const at::Tensor& ids, size_t weight) {
  if (layout_.is_whole(weight)) return own_.embedding(ids, weight);
  const at::Tensor rows = at::embedding(pass_.whole(weight), ids);
  return rows.scalar_type() == at::kBFloat16 ? rows.to(at::kFloat) : rows;
}

std::vector<GatherPass::Use> uses_of(const Layout& layout, at::ScalarType compute_dtype) {
  std::vector<GatherPass::Use> uses;
  // Rows of an embedding are in the weights' own precision, or wider.
  for (const size_t block : layout.shards->order()) uses.push_back({block, uses.empty() ? layout.dtype : compute_dtype});
  return uses;
}

}  // namespace critical_sharpness
