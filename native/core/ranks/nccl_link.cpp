#include "ranks/nccl_link.hpp"

#include <ATen/ops/zeros.h>

#include <chrono>
#include <cstring>
#include <thread>

namespace critical_sharpness {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

/// How long a wait looks without a pause, and the pauses after that. A layer's weights come in about that time.
constexpr auto attentive = 1ms;
constexpr auto pause = 50us;

/// Looks until look() says that it is enough. False: not within the time.
template <class Look>
bool keep_looking(std::chrono::milliseconds time, const Look& look) {
  const auto start = Clock::now();
  while (!look()) {
    const auto passed = Clock::now() - start;
    if (passed > time) return false;
    if (passed < attentive) std::this_thread::yield();
    else std::this_thread::sleep_for(pause);
  }
  return true;
}

/// Rank 0's, on every rank.
nccl::UniqueId common_id(const nccl::Functions& functions, Group& group) {
  const at::Tensor mine = at::zeros({sizeof(nccl::UniqueId)}, at::kByte), all = at::zeros({group.size(), mine.numel()}, at::kByte);
  nccl::UniqueId id;
  if (group.rank() == 0) {
    group.part([&] {
      if (const auto result = functions.get_unique_id(&id); result != nccl::success)
        reject_group("Expected an id of NCCL for the group but received: " + std::string(functions.get_error_string(result)));
    });
    std::memcpy(mine.mutable_data_ptr(), &id, sizeof id);
  }
  group.start_host_gather(all, mine).wait();
  std::memcpy(&id, all.const_data_ptr(), sizeof id);
  return id;
}

}  // namespace

std::shared_ptr<Link> NcclLink::open(const nccl::Functions& functions, std::shared_ptr<Membership> membership, Group& group,
                                     at::Device device, std::unique_ptr<CopyStream> stream) {
  const nccl::UniqueId id = common_id(functions, group);
  const auto endpoint = std::make_shared<nccl::Endpoint>(functions, device, id, group.rank(), group.size());
  const auto time = membership->where().join_timeout;
  nccl::Result state = nccl::in_progress;
  keep_looking(time, [&] { return membership->has_ended() || (state = endpoint->state()) != nccl::in_progress; });
  if (membership->has_ended()) membership->reject_transfer("no NCCL");
  if (state != nccl::success)
    group.part([&]() -> int {
      reject_group("Expected NCCL to join " + device.str() + " to those of the other ranks but received " +
                   (state == nccl::in_progress ? "nothing for " + seconds(time) : "\"" + endpoint->name_of(state) + "\"") +
                   ": NCCL_DEBUG=WARN says more, and each rank needs a device of its own");
    });
  membership->on_end([weak = std::weak_ptr(endpoint)](const std::string&) {
    // Kernels that wait for a rank that is gone hold up whatever waits for the device.
    if (const auto open = weak.lock()) open->abort();
  });
  return std::shared_ptr<NcclLink>(new NcclLink(std::move(membership), endpoint, std::move(stream)));
}

NcclLink::NcclLink(std::shared_ptr<Membership> membership, std::shared_ptr<nccl::Endpoint> endpoint, std::unique_ptr<CopyStream> stream)
    : membership_(std::move(membership)), stream_(std::move(stream)), endpoint_(std::move(endpoint)) {}

// Only then is the memory of what was under way let go of.
NcclLink::~NcclLink() { endpoint_->abort(); }

std::string NcclLink::problem() {
  const nccl::Result state = endpoint_->state();
  return state == nccl::success || state == nccl::in_progress ? "" : "\"" + endpoint_->name_of(state) + "\" from NCCL";
}

template <class IsReady>
void NcclLink::wait_until(const IsReady& is_ready) {
  std::string received;
  const bool in_time = keep_looking(membership_->where().timeout, [&] {
    const bool ready = is_ready();
    // In this order: what an abort cuts short is over, too, and is marked before.
    received = endpoint_->is_aborted() ? "transfers that were cut short" : problem();
    return ready || !received.empty();
  });
  if (in_time && received.empty()) return;
  endpoint_->abort();
  membership_->reject_transfer(in_time ? received : "nothing for " + seconds(membership_->where().timeout));
}

Pending NcclLink::start(const std::vector<Transfer>& transfers, uint32_t) {
  // Copies are over in the order of their start.
  while (!flying_.empty() && flying_.front()->is_over()) flying_.pop_front();
  stream_->begin();
  const auto flight = std::make_shared<Flight>(Flight{transfers, {}});
  endpoint_->start(flight->transfers, stream_->handle());
  flying_.push_back(flight);
  // NCCL queues them from a thread of its own: a mark before that would be of nothing.
  flight->is_over = [] { return false; };
  wait_until([&] { return endpoint_->state() != nccl::in_progress; });
  flight->is_over = stream_->mark();
  Pending pending;
  // The host has seen that the copies are over before it queues what reads them: nothing else puts the two in order. And so a stream
  // that computes never waits for another rank, which could be gone.
  pending.add([self = shared_from_this(), flight] {
    self->wait_until(flight->is_over);
    flight->transfers.clear();
  });
  return pending;
}

}  // namespace critical_sharpness
