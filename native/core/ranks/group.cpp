#include "ranks/group.hpp"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <chrono>
#include <cstring>

#include "errors.hpp"

namespace critical_sharpness {
namespace {

at::Tensor as_bytes(const at::Tensor& tensor) { return tensor.view({-1}).view(at::kByte); }

/// Calls body(to, from) for the rank's partners, nobody's first one being the same.
template <class Body>
void for_each_pair(int rank, int size, const Body& body) {
  for (int k = 1; k < size; k++) body((rank + k) % size, (rank - k + size) % size);
}

/// A call as it travels: its name, its place among calls, what it is done with, and the wish to stop.
struct Wire {
  static constexpr size_t most = 8;
  char name[24] = {};
  uint64_t place = 0, with[most] = {}, stop = 0;
};

[[noreturn]] void reject_difference(const std::string& message) {
  throw InputError(InputError::Kind::state, "ERR_RANKS_DIFFER", message + ": every rank must run the same program on the same data");
}

}  // namespace

uint64_t bits_of(double number) {
  uint64_t bits;
  std::memcpy(&bits, &number, sizeof bits);
  return bits;
}

void Group::close(const std::string& why) {
  control_->close(why);
  data_->close(why);
}

void Group::leave() {
  control_->leave();
  data_->leave();
}

void Group::agree(const Call& call, bool stop) {
  TORCH_INTERNAL_ASSERT(call.with.size() <= Wire::most && call.name.size() < sizeof Wire::name);
  Wire mine;
  call.name.copy(mine.name, sizeof mine.name - 1);
  mine.place = calls_++;
  for (size_t k = 0; k < call.with.size(); k++) mine.with[k] = call.with[k].second;
  mine.stop = stop;
  at::Tensor in = at::empty({sizeof mine}, at::kByte);
  const at::Tensor out = at::empty({size_, static_cast<int64_t>(sizeof mine)}, at::kByte);
  std::memcpy(in.mutable_data_ptr(), &mine, sizeof mine);
  gather(*control_, out, in).wait();
  std::vector<Wire> all(static_cast<size_t>(size_));
  std::memcpy(all.data(), out.const_data_ptr(), out.nbytes());
  // Who is told of a difference must be told the same everywhere: rank 0 is what the others are compared with.
  for (size_t r = 1; r < all.size(); r++) {
    const std::string rank = std::to_string(r);
    if (std::strcmp(all[r].name, all[0].name) != 0)
      reject_difference("Expected \"" + std::string(all[0].name) + "\", which rank 0 calls, on every rank but received \"" + all[r].name +
                        "\" on rank " + rank);
    for (size_t k = 0; k < call.with.size(); k++)
      if (all[r].with[k] != all[0].with[k])
        reject_difference("Expected every rank to call \"" + call.name + "\" with the same " + call.with[k].first +
                          " but received another on rank " + rank + " than on rank 0");
    if (all[r].place != all[0].place) reject_difference("Expected as many calls on every rank but received others on rank " + rank);
  }
  for (const auto& one : all)
    if (one.stop) throw Cancelled();
}

Pending Group::gather(Link& link, const at::Tensor& out, const at::Tensor& in) {
  const at::Tensor to = as_bytes(out), from = as_bytes(in);
  const int64_t part = from.numel();
  const uint32_t tag = tag_++;
  at::Tensor own = to.narrow(0, part * rank_, part);
  if (own.const_data_ptr() != from.const_data_ptr()) own.copy_(from);
  Pending pending;
  for_each_pair(rank_, size_, [&](int target, int source) {
    pending.add(link.receive(to.narrow(0, part * source, part), source, tag));
    pending.add(link.send(from, target, tag));
  });
  return pending;
}

std::vector<std::vector<double>> Group::all_gather(const std::vector<double>& mine) {
  const auto count = static_cast<int64_t>(mine.size());
  at::Tensor in = at::empty({count}, at::kDouble);
  const at::Tensor out = at::empty({size_, count}, at::kDouble);
  std::copy(mine.begin(), mine.end(), in.mutable_data_ptr<double>());
  gather(*control_, out, in).wait();
  std::vector<std::vector<double>> rows;
  const auto* first = out.const_data_ptr<double>();
  for (int r = 0; r < size_; r++) rows.emplace_back(first + r * count, first + (r + 1) * count);
  return rows;
}

bool Group::any(bool mine) {
  bool found = false;
  for (const auto& row : all_gather({mine ? 1. : 0.})) found |= row[0] != 0;
  return found;
}

Pending Group::start_all_gather(const at::Tensor& out, const at::Tensor& in) { return gather(*data_, out, in); }

Pending Group::start_exchange(const at::Tensor& out, const at::Tensor& in) {
  const at::Tensor to = as_bytes(out), from = as_bytes(in);
  const int64_t part = from.numel() / size_;
  const uint32_t tag = tag_++;
  to.narrow(0, part * rank_, part).copy_(from.narrow(0, part * rank_, part));
  Pending pending;
  for_each_pair(rank_, size_, [&](int target, int source) {
    pending.add(data_->receive(to.narrow(0, part * source, part), source, tag));
    pending.add(data_->send(from.narrow(0, part * target, part), target, tag));
  });
  return pending;
}

void Group::wait(Pending& transfers) {
  const auto start = std::chrono::steady_clock::now();
  transfers.wait();
  waited_ = waited_.load() + std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace critical_sharpness
