#include "fake_nccl.hpp"

#include <condition_variable>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <vector>

#include "check.hpp"
#include "host_stream.hpp"

namespace critical_sharpness::test {
namespace {

using nccl::Result;

struct Operation {
  const void* from = nullptr;  // of a send
  void* to = nullptr;          // of a receive
  size_t count = 0;
  int partner = 0;
  bool is_over = false;
};

/// All of it: the mutex is of every member of every communicator.
struct World {
  std::mutex mutex;
  std::condition_variable changed;
  uint64_t ids = 0;
  struct Waiting {
    std::deque<Operation*> sends, receives;
  };
  std::map<std::tuple<uint64_t, int, int>, Waiting> pairs;  // of a communicator's id, from, to
  std::map<uint64_t, std::set<int>> ranks;                  // that came, of each id
  std::map<int, std::pair<FakeFault::Kind, int>> faults;    // of each rank
  std::set<nccl::Communicator*> open;
};
World& world() {
  static World all;
  return all;
}

}  // namespace
}  // namespace critical_sharpness::test

namespace critical_sharpness::nccl {

struct Communicator {
  uint64_t id;
  int rank, size;
  Result state = in_progress;
  bool aborted = false;
  int groups = 0, running = 0;
  std::vector<std::pair<test::HostStream*, std::vector<test::Operation>>> not_queued = {};
};

}  // namespace critical_sharpness::nccl

namespace critical_sharpness::test {
namespace {

using nccl::Communicator;

thread_local int depth = 0;  // of group_start
thread_local std::vector<std::tuple<Communicator*, HostStream*, Operation>> grouped;

std::optional<FakeFault::Kind> fault_of(const Communicator& c) {
  const auto found = world().faults.find(c.rank);
  return found != world().faults.end() && c.groups > found->second.second ? std::optional(found->second.first) : std::nullopt;
}

/// Copies what has met. A pair's transfers meet in their order.
void meet(World::Waiting& pair, Communicator& one) {
  while (!pair.sends.empty() && !pair.receives.empty()) {
    Operation &send = *pair.sends.front(), &receive = *pair.receives.front();
    if (send.count != receive.count) {
      one.state = nccl::invalid_argument;
      return;
    }
    std::memcpy(receive.to, send.from, send.count);
    send.is_over = receive.is_over = true;
    pair.sends.pop_front();
    pair.receives.pop_front();
  }
}

/// On the stream's thread: until every operation has met its partner's, or the communicator is aborted.
void run(Communicator& c, std::vector<Operation>& operations) {
  World& w = world();
  std::unique_lock lock(w.mutex);
  c.groups++;
  const auto fault = fault_of(c);
  if (fault == FakeFault::Kind::error) c.state = nccl::remote_error;
  std::vector<World::Waiting*> pairs;
  for (auto& o : operations) {
    if (fault) break;
    World::Waiting& pair = w.pairs[o.from ? std::tuple(c.id, c.rank, o.partner) : std::tuple(c.id, o.partner, c.rank)];
    (o.from ? pair.sends : pair.receives).push_back(&o);
    pairs.push_back(&pair);
    meet(pair, c);
  }
  w.changed.notify_all();
  const auto is_over = [&] {
    for (const auto& o : operations)
      if (!o.is_over) return false;
    return true;
  };
  w.changed.wait(lock, [&] { return c.aborted || is_over(); });
  for (auto* pair : pairs)
    for (auto& o : operations) {
      std::erase(pair->sends, &o);
      std::erase(pair->receives, &o);
    }
  c.running--;
  w.changed.notify_all();
}

/// Holding the world's mutex.
void queue(Communicator& c, HostStream& stream, std::vector<Operation> operations) {
  c.running++;
  stream.add([&c, operations = std::move(operations)]() mutable { run(c, operations); });
}

Result get_version(int* version) {
  *version = 22703;
  return nccl::success;
}

const char* get_error_string(Result result) {
  return result == nccl::remote_error ? "remote process exited or there was a network error" : result == nccl::invalid_usage ? "invalid usage" : "another error";
}

Result get_unique_id(nccl::UniqueId* id) {
  World& w = world();
  const std::lock_guard lock(w.mutex);
  *id = {};
  w.ids++;
  std::memcpy(id->bytes + 100, &w.ids, sizeof w.ids);
  return nccl::success;
}

Result init(Communicator** made, int size, nccl::UniqueId id, int rank, nccl::Config* config) {
  TORCH_CHECK(config->size == sizeof *config && config->magic == 0xcafebeef && config->version >= 21400 && config->blocking == 0);
  World& w = world();
  const std::lock_guard lock(w.mutex);
  auto* c = new Communicator{0, rank, size};
  std::memcpy(&c->id, id.bytes + 100, sizeof c->id);
  w.open.insert(*made = c);
  if (w.faults.contains(rank) && w.faults[rank].first == FakeFault::Kind::join) return nccl::invalid_usage;
  w.ranks[c->id].insert(rank);
  return nccl::in_progress;
}

Result get_async_error(Communicator* c, Result* error) {
  World& w = world();
  const std::lock_guard lock(w.mutex);
  if (!w.open.contains(c)) return nccl::invalid_argument;
  if (c->state == nccl::in_progress && w.ranks[c->id].size() == static_cast<size_t>(c->size)) {
    // What was asked for is under way now; whoever asks again hears so.
    for (auto& [stream, operations] : std::exchange(c->not_queued, {})) queue(*c, *stream, std::move(operations));
    c->state = nccl::success;
    *error = nccl::in_progress;
    return nccl::success;
  }
  *error = c->state;
  return nccl::success;
}

Result abort(Communicator* c) {
  World& w = world();
  std::unique_lock lock(w.mutex);
  if (w.open.erase(c) == 0) return nccl::invalid_argument;
  c->aborted = true;
  w.changed.notify_all();
  w.changed.wait(lock, [&] { return c->running == 0; });
  delete c;
  return nccl::success;
}

Result group_start() {
  depth++;
  return nccl::success;
}

Result group_end() {
  if (depth == 0) return nccl::invalid_usage;
  if (--depth > 0 || grouped.empty()) return nccl::success;
  World& w = world();
  const std::lock_guard lock(w.mutex);
  const auto [c, stream, _] = grouped.front();
  std::vector<Operation> operations;
  for (const auto& [__, ___, operation] : std::exchange(grouped, {})) operations.push_back(operation);
  if (!w.open.contains(c)) return nccl::invalid_argument;
  if (c->state != nccl::success && c->state != nccl::in_progress) return c->state;
  c->not_queued.emplace_back(stream, std::move(operations));
  return c->state = nccl::in_progress;
}

Result transfer(Communicator* c, void* stream, const Operation& operation, int type) {
  const bool valid = type == nccl::byte && operation.partner >= 0 && operation.count > 0 && static_cast<HostStream*>(stream)->has_begun;
  if (!valid) return nccl::invalid_argument;
  group_start();
  grouped.emplace_back(c, static_cast<HostStream*>(stream), operation);
  return group_end();
}

Result send(const void* bytes, size_t count, int type, int to, Communicator* c, void* stream) {
  return transfer(c, stream, {bytes, nullptr, count, to}, type);
}

Result receive(void* bytes, size_t count, int type, int from, Communicator* c, void* stream) {
  return transfer(c, stream, {nullptr, bytes, count, from}, type);
}

}  // namespace

nccl::Functions fake_nccl() {
  return {get_version, get_error_string, get_unique_id, init, get_async_error, abort, group_start, group_end, send, receive};
}

FakeFault::FakeFault(Kind kind, int rank, int groups) {
  const std::lock_guard lock(world().mutex);
  world().faults[rank] = {kind, groups};
}

FakeFault::~FakeFault() {
  const std::lock_guard lock(world().mutex);
  world().faults.clear();
}

int open_communicators() {
  const std::lock_guard lock(world().mutex);
  return static_cast<int>(world().open.size());
}

}  // namespace critical_sharpness::test
