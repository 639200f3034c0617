#include "ranks/gathered_view.hpp"

#include <ATen/ops/embedding.h>
#include <ATen/ops/empty.h>

#include <algorithm>

#include "kernels/perturb.hpp"

namespace critical_sharpness {

GatherPass::GatherPass(const Layout& layout, std::vector<Use> uses, const std::vector<at::Tensor>& weights,
                       const Direction* direction, double learning_rate)
    : layout_(layout), uses_(std::move(uses)), weights_(weights), direction_(direction), learning_rate_(learning_rate) {
  std::vector<int64_t> bytes;
  for (const Use& use : uses_) {
    const auto& [parameters, _, shard] = layout.shards->blocks()[use.block];
    has_steps_.push_back(std::ranges::any_of(parameters, [&](size_t i) { return has_step(use, i); }));
    bytes.push_back((has_steps_.back() ? 2 : 1) * shard * layout.group->size() * static_cast<int64_t>(c10::elementSize(use.dtype)));
  }
  rooms_ = rooms_of(bytes);
  std::vector<int64_t> largest(3, 0);
  for (size_t use = 0; use < bytes.size(); use++) largest[rooms_[use]] = std::max(largest[rooms_[use]], bytes[use]);
  if ((shared_ = layout.group->shared_rooms(layout.device))) {
    room_ = shared_->rooms(largest);
    first_ = shared_->take(uses_.size());
  } else {
    for (const int64_t size : largest) room_.push_back(at::empty({size}, layout.options().dtype(at::kByte)));
  }
  start_if_free();
}

GatherPass::~GatherPass() {
  if (shared_) shared_->note_read(first_ + uses_.size());
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
  const int64_t numbers = layout_.shards->blocks()[uses_[use].block].shard * layout_.group->size(), parts = has_steps_[use] ? 2 : 1;
  const auto bytes = static_cast<int64_t>(c10::elementSize(uses_[use].dtype));
  return room_[rooms_[use]].narrow(0, 0, parts * numbers * bytes).view(uses_[use].dtype).view({parts, numbers});
}

bool GatherPass::has_factors(const Use& use, size_t parameter) const {
  return kernels::low_rank(delta(parameter)) && (use.by_rows || weights_[parameter].scalar_type() == use.dtype);
}

bool GatherPass::has_step(const Use& use, size_t parameter) const {
  return use.dtype == at::kBFloat16 && weights_[parameter].scalar_type() == at::kBFloat16 && direction_ && direction_->has(parameter) &&
         !has_factors(use, parameter);
}

void GatherPass::write(const Use& use, const at::Tensor& theta, const at::Tensor& steps) const {
  for (const size_t i : layout_.shards->blocks()[use.block].parameters) {
    const int64_t length = layout_.local_numel(i), place = layout_.shards->place_in_shard(i);
    if (length == 0) continue;
    const at::Tensor& weight = weights_[i];
    const at::Tensor out = theta.narrow(0, place, length);
    const bool apart = has_step(use, i);
    const kernels::Delta within = apart || has_factors(use, i) ? kernels::Delta() : delta(i);
    if (kernels::is_zero(within) && weight.scalar_type() == use.dtype) out.copy_(weight);
    else kernels::perturb(out, weight, within, learning_rate_);
    if (apart) kernels::negative_step(steps.narrow(0, place, length), delta(i), learning_rate_);
  }
}

uint64_t GatherPass::uses_before_next_room() const { return first_ + (started_ > 0 ? started_ - 1 : 0); }

void GatherPass::start() {
  const int64_t shard = layout_.shards->blocks()[uses_[started_].block].shard;
  const at::Tensor all = room(started_), mine = all.narrow(1, shard * layout_.group->rank(), shard);
  write(uses_[started_], mine[0], mine[-1]);
  started_++;
  if (shared_) shared_->note_written(first_ + started_);
  else
    for (int64_t part = 0; part < all.size(0); part++) under_way_.add(layout_.group->start_all_gather(all[part], mine[part]));
}

void GatherPass::start_if_free() {
  if (started_ < uses_.size() && (!shared_ || shared_->is_read(uses_before_next_room()))) start();
}

void GatherPass::open() {
  TORCH_INTERNAL_ASSERT(opened_ < uses_.size());
  if (shared_) {
    shared_->note_read(first_ + opened_);
    if (started_ == opened_) {
      under_way_.add([this] { shared_->wait_until_read(uses_before_next_room()); });
      layout_.group->wait(under_way_);
      start();
    }
    under_way_.add([this] { shared_->wait_until_written(first_ + opened_ + 1); });
  }
  layout_.group->wait(under_way_);
  opened_++;
  start_if_free();
}

void GatherPass::open_until(size_t uses) {
  while (opened_ < uses) open();
}

at::Tensor GatherPass::whole(size_t parameter) {
  const size_t block = *layout_.shards->block_of(parameter);
  if (opened_ == 0 || uses_[opened_ - 1].block != block) open();
  TORCH_INTERNAL_ASSERT(uses_[opened_ - 1].block == block, "a pass reads its blocks in their order");
  return of_open_block(room(opened_ - 1)[0], parameter);
}

at::Tensor GatherPass::of_open_block(const at::Tensor& numbers, size_t parameter) const {
  const auto& [parameters, offsets, _] = layout_.shards->blocks()[uses_[opened_ - 1].block];
  const auto place = static_cast<size_t>(std::find(parameters.begin(), parameters.end(), parameter) - parameters.begin());
  const ParameterSpec& spec = layout_.parameters[parameter];
  return numbers.narrow(0, offsets[place], spec.numel()).view(spec.shape);
}

at::Tensor GatherPass::step(size_t parameter) const {
  if (!has_step(uses_[opened_ - 1], parameter)) return {};
  return of_open_block(room(opened_ - 1)[1], parameter);
}

std::optional<kernels::LowRank> GatherPass::factors(size_t parameter) const {
  if (!has_factors(uses_[opened_ - 1], parameter)) return std::nullopt;
  return *kernels::low_rank(delta(parameter));
}

at::Tensor GatheredView::value(size_t index, at::ScalarType dtype) {
  if (layout_.is_whole(index)) return own_.value(index, dtype);
  return pass_.whole(index).to(dtype);
}

at::Tensor GatheredView::embedding(const at::Tensor& ids, size_t weight) {
  if (layout_.is_whole(weight)) return own_.embedding(ids, weight);
  at::Tensor rows = at::embedding(pass_.whole(weight), ids);
  if (rows.scalar_type() == at::kBFloat16) rows = rows.to(at::kFloat);
  if (const auto factors = pass_.factors(weight)) add_low_rank_rows(rows, ids, *factors, pass_.learning_rate());
  return rows;
}

Linear GatheredView::open_linear(size_t index, std::optional<size_t> bias, Storage storage) {
  Linear map = ParameterView::open_linear(index, bias, storage);
  if (layout_.is_whole(index)) return map;
  if (const at::Tensor step = pass_.step(index); step.defined()) map.step = oriented(step, storage);
  if (const auto factors = pass_.factors(index)) add_low_rank_step(map, *factors, pass_.learning_rate(), storage);
  return map;
}

std::vector<GatherPass::Use> uses_of(const Layout& layout, at::ScalarType compute_dtype) {
  std::vector<GatherPass::Use> uses;
  // Rows of an embedding are in the weights' own precision, or wider.
  for (const size_t block : layout.shards->order()) uses.push_back({block, uses.empty() ? layout.dtype : compute_dtype, uses.empty()});
  return uses;
}

}  // namespace critical_sharpness
