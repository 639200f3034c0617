#include "ranks/group.hpp"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <chrono>
#include <cstring>

#include "errors.hpp"

namespace critical_sharpness {
namespace {

at::Tensor as_bytes(const at::Tensor& tensor) { return tensor.view({-1}).view(at::kByte); }

/// Receives a part from each of the other ranks and sends it one, nobody's first one being the same. part_for(rank): what it is sent.
template <class PartFor>
std::vector<Transfer> transfers(int rank, int size, const at::Tensor& to, int64_t part, const PartFor& part_for) {
  std::vector<Transfer> all;
  for (int k = 1; k < size && part > 0; k++) {
    const int target = (rank + k) % size, source = (rank - k + size) % size;
    all.push_back({to.narrow(0, part * source, part), source, Transfer::Direction::receive});
    all.push_back({part_for(target), target, Transfer::Direction::send});
  }
  return all;
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

template <class Body>
void Group::for_each_link(const Body& body) {
  body(*control_);
  std::vector<std::shared_ptr<Link>> links;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [_, link] : data_)
      if (link) links.push_back(link);
  }
  for (const auto& link : links) body(*link);
}

void Group::close(const std::string& why) {
  for_each_link([&](Link& link) { link.close(why); });
}

void Group::leave() {
  for_each_link([](Link& link) { link.leave(); });
}

Link& Group::data_of(at::Device device) {
  std::unique_lock lock(mutex_);
  std::shared_ptr<Link>& link = data_[device];
  if (!link) {
    // Without the lock: it waits for the other ranks, and another thread may close the group meanwhile.
    lock.unlock();
    auto opened = open_(*this, device);
    lock.lock();
    link = std::move(opened);
  }
  must_part_ |= !link->arrives_without_sender();
  return *link;
}

void Group::part_ways() {
  if (!std::exchange(must_part_, false)) return;
  try {
    any(false);
  } catch (const std::exception&) {
    // Whoever comes next on a broken group hears of it.
  }
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
  return link.start(transfers(rank_, size_, to, part, [&](int) { return from; }), tag);
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

Pending Group::start_all_gather(const at::Tensor& out, const at::Tensor& in) { return gather(data_of(in.device()), out, in); }

Pending Group::start_host_gather(const at::Tensor& out, const at::Tensor& in) { return gather(*control_, out, in); }

Pending Group::start_exchange(const at::Tensor& out, const at::Tensor& in) {
  Link& link = data_of(in.device());
  const at::Tensor to = as_bytes(out), from = as_bytes(in);
  const int64_t part = to.numel() / size_;
  return link.start(transfers(rank_, size_, to, part, [&](int target) { return from.narrow(0, part * place_among_others(target), part); }), tag_++);
}

const std::shared_ptr<SharedRooms>& Group::shared_rooms(at::Device device) {
  const auto found = shared_.find(device);
  return found != shared_.end() ? found->second : shared_[device] = data_of(device).share(*this);
}

void Group::wait(Pending& transfers) {
  const auto start = std::chrono::steady_clock::now();
  transfers.wait();
  waited_ = waited_.load() + std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace critical_sharpness
