#include "ranks/gradient_exchange.hpp"

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>

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

void GradientExchange::add(at::Tensor& sum, const at::Tensor& parts) const {
  for (int rank = 0; rank < present_; rank++) {
    const at::Tensor part = parts.select(0, rank);
    if (sum.defined()) sum.add_(part);
    else sum = part.to(layout_.dtype, /*non_blocking=*/false, /*copy=*/true);
  }
}

void GradientExchange::start(size_t block, at::ScalarType dtype, const std::vector<at::Tensor>& gradients) {
  finish();
  const auto& [parameters, offsets, shard] = layout_.shards->blocks()[block];
  const int64_t numbers = shard * layout_.group->size(), bytes = numbers * static_cast<int64_t>(c10::elementSize(dtype));
  const auto in = [&](at::Tensor& buffer) {
    if (!buffer.defined() || buffer.numel() < bytes) buffer = at::empty({bytes}, layout_.options().dtype(at::kByte));
    return buffer.narrow(0, 0, bytes).view(dtype).view({layout_.group->size(), shard});
  };
  const at::Tensor send = in(buffers_.out), receive = in(buffers_.in);
  for (size_t k = 0; k < parameters.size(); k++) {
    const ParameterSpec& spec = layout_.parameters[parameters[k]];
    at::Tensor place = send.view({-1}).narrow(0, offsets[k], spec.numel()).view(spec.shape);
    if (k < gradients.size() && gradients[k].defined()) place.copy_(gradients[k]);
    else place.fill_(nothing);
  }
  flight_ = Flight{layout_.group->start_exchange(receive, send), block, receive, {}};
  flight_->pending.add(start_given(gradients, parameters.size(), flight_->given));
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

void GradientExchange::finish() {
  if (!flight_) return;
  Flight flight = *std::exchange(flight_, std::nullopt);
  layout_.group->wait(flight.pending);
  note_given(layout_.shards->blocks()[flight.block].parameters, flight.given);
  add(of_block_[flight.block], flight.received);
  if (!on_block) return;
  on_block(flight.block);
  of_block_.erase(flight.block);
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
      add(of_parameter_[parameters[first]], parts);
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
