#include "ranks/gradient_exchange.hpp"

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <c10/util/accumulate.h>

#include <algorithm>

namespace critical_sharpness {
namespace {

/// Numbers of parameters that every rank keeps which are exchanged at once.
constexpr int64_t shared_at_once = 1 << 22;

/// What changes no bit of what it is added to; 0 would change −0.
constexpr double nothing = -0.0;

}  // namespace

GradientExchange::~GradientExchange() {
  try {
    if (flight_) flight_->pending.wait();
  } catch (...) {
    // Whoever comes next on a broken group hears of it.
  }
}

void GradientExchange::add(const at::Tensor& sum, const at::Tensor& parts, bool begins) const {
  for (int rank = 0; rank < present_; rank++) {
    if (begins && rank == 0) sum.copy_(parts.select(0, rank));
    else sum.add_(parts.select(0, rank));
  }
}

int64_t GradientExchange::at_once(const ShardedBlock& block) const {
  const auto& order = layout_.shards->order();
  return std::clamp<int64_t>(layout_.shards->blocks()[order[order.size() / 2]].shard, 1, block.shard);
}

void GradientExchange::start(size_t block, at::ScalarType dtype, const std::vector<at::Tensor>& gradients) {
  finish();
  const ShardedBlock& of = layout_.shards->blocks()[block];
  at::Tensor& sum = of_block_[block];
  const bool begins = !sum.defined();
  if (begins) sum = at::empty({of.shard}, layout_.options());
  std::vector<at::Tensor> flat;
  for (size_t k = 0; k < of.parameters.size(); k++)
    flat.push_back(k < gradients.size() && gradients[k].defined() ? gradients[k].reshape({-1}) : at::Tensor());
  for (int64_t first = 0, length; first < of.shard; first += length) {
    length = std::min(at_once(of), of.shard - first);
    land();
    Group& group = *layout_.group;
    const at::Tensor send = buffer(out_, dtype, {group.size() - 1, length}), receive = buffer(in_, dtype, {group.size(), length});
    for (int rank = 0; rank < group.size(); rank++) {
      const at::Tensor place = rank == group.rank() ? receive[rank] : send[group.place_among_others(rank)];
      write(place, of, rank * of.shard + first, flat);
    }
    flight_ = Flight{group.start_exchange(receive, send), block, first, begins, receive, {}};
    if (first == 0) flight_->pending.add(start_given(gradients, of.parameters.size(), flight_->given));
  }
}

at::Tensor GradientExchange::buffer(at::Tensor& room, at::ScalarType dtype, at::IntArrayRef shape) const {
  const int64_t bytes = c10::multiply_integers(shape) * static_cast<int64_t>(c10::elementSize(dtype));
  if (!room.defined() || room.numel() < bytes) room = at::empty({bytes}, layout_.options().dtype(at::kByte));
  return room.narrow(0, 0, bytes).view(dtype).view(shape);
}

void GradientExchange::write(const at::Tensor& out, const ShardedBlock& block, int64_t first, const std::vector<at::Tensor>& gradients) const {
  for (size_t k = 0; k < block.parameters.size(); k++) {
    const int64_t offset = block.offsets[k], end = offset + layout_.parameters[block.parameters[k]].numel();
    const int64_t from = std::max(first, offset), to = std::min(first + out.numel(), end);
    if (from >= to) continue;
    at::Tensor place = out.narrow(0, from - first, to - from);
    if (gradients[k].defined()) place.copy_(gradients[k].narrow(0, from - offset, to - from));
    else place.fill_(nothing);
  }
}

Pending GradientExchange::start_given(const std::vector<at::Tensor>& gradients, size_t count, at::Tensor& given) const {
  const at::Tensor mine = at::zeros({static_cast<int64_t>(count)}, at::kByte);
  for (size_t k = 0; k < std::min(count, gradients.size()); k++) mine.mutable_data_ptr<uint8_t>()[k] = gradients[k].defined();
  given = at::empty({layout_.group->size(), mine.numel()}, at::kByte);
  return layout_.group->start_host_gather(given, mine);
}

void GradientExchange::note_given(const std::vector<size_t>& parameters, const at::Tensor& given) {
  const auto* flags = given.const_data_ptr<uint8_t>();
  for (int64_t k = 0; k < given.numel(); k++)
    if (flags[k]) has_[parameters[static_cast<size_t>(k) % parameters.size()]] = true;
}

void GradientExchange::land() {
  if (!flight_) return;
  Flight flight = *std::exchange(flight_, std::nullopt);
  layout_.group->wait(flight.pending);
  if (flight.given.defined()) note_given(layout_.shards->blocks()[flight.block].parameters, flight.given);
  add(of_block_[flight.block].narrow(0, flight.first, flight.received.size(1)), flight.received, flight.begins);
}

void GradientExchange::finish() {
  if (!flight_) return;
  const size_t block = flight_->block;
  land();
  if (!on_block) return;
  on_block(block);
  of_block_.erase(block);
}

void GradientExchange::share(const std::vector<size_t>& parameters, const std::vector<at::Tensor>& gradients) {
  if (parameters.empty()) return;
  at::Tensor given;
  Pending flags = start_given(gradients, parameters.size(), given);
  layout_.group->wait(flags);
  note_given(parameters, given);
  for (size_t first = 0; first < parameters.size();) {
    std::vector<at::Tensor> together;
    int64_t numbers = 0;
    size_t last = first;
    for (; last < parameters.size() && (last == first || numbers + layout_.parameters[parameters[last]].numel() <= shared_at_once); last++) {
      const int64_t count = layout_.parameters[parameters[last]].numel();
      together.push_back(gradients[last].defined() ? gradients[last].reshape({-1}) : at::full({count}, nothing, layout_.options()));
      numbers += count;
    }
    const at::Tensor mine = at::cat(together), all = at::empty({layout_.group->size(), numbers}, layout_.options());
    Pending parts_of_all = layout_.group->start_all_gather(all, mine);
    layout_.group->wait(parts_of_all);
    int64_t place = 0;
    for (; first < last; first++) {
      const ParameterSpec& spec = layout_.parameters[parameters[first]];
      const at::Tensor parts = all.narrow(1, place, spec.numel());
      at::Tensor& sum = of_parameter_[parameters[first]];
      const bool begins = !sum.defined();
      if (begins) sum = at::empty({spec.numel()}, layout_.options());
      add(sum, parts, begins);
      place += spec.numel();
    }
  }
}

at::Tensor GradientExchange::sum(size_t parameter) {
  if (!has_[parameter]) return {};
  if (layout_.is_whole(parameter)) {
    const at::Tensor found = of_parameter_[parameter];
    return found.defined() ? found.view(layout_.parameters[parameter].shape) : found;
  }
  const size_t block = *layout_.shards->block_of(parameter);
  const at::Tensor found = of_block_[block];
  if (!found.defined()) return found;
  const at::Tensor part = found.narrow(0, layout_.shards->place_in_shard(parameter), layout_.local_numel(parameter));
  const auto& all = layout_.shards->blocks()[block].parameters;
  const bool is_shared = std::all_of(all.begin(), all.end(), [&](size_t i) { return layout_.is_trainable(i); });
  return is_shared ? part : part.clone();  // whoever keeps it would keep the frozen ones' room
}

}  // namespace critical_sharpness
