#include "ranks/gloo_group.hpp"

#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include "ranks/lifeline.hpp"
#include "ranks/nccl_link.hpp"
#include "ranks/shared_rooms.hpp"

namespace critical_sharpness {
namespace {

class GlooLink final : public Link {
 public:
  GlooLink(std::shared_ptr<Membership> membership, c10::intrusive_ptr<c10d::Backend> backend)
      : membership_(std::move(membership)), backend_(std::move(backend)) {}

  Pending start(const std::vector<Transfer>& transfers, uint32_t tag) override {
    Pending pending;
    for (const auto& one : transfers) pending.add(start(one, static_cast<int>(tag & 0x7fffffff)));
    return pending;
  }
  std::shared_ptr<SharedRooms> share(Group& group) override {
    return SharedRooms::open(group, [membership = membership_](int rank, bool gone, std::chrono::milliseconds waited) {
      const auto timeout = membership->where().timeout;
      if (gone || membership->has_ended()) membership->reject_lost(rank, closed_connection);
      if (waited > timeout) membership->reject_lost(rank, "nothing for " + seconds(timeout));
    });
  }
  void close(const std::string& why) override { membership_->end(why); }
  void leave() override { membership_->leave(); }

 private:
  std::function<void()> start(const Transfer& transfer, int tag) {
    const int rank = transfer.rank;
    std::vector<at::Tensor> list{transfer.bytes};
    c10::intrusive_ptr<c10d::Work> work;
    try {
      membership_->require_going_on();
      work = transfer.direction == Transfer::Direction::send ? backend_->send(list, rank, tag) : backend_->recv(list, rank, tag);
    } catch (const std::exception&) {
      return [membership = membership_, rank] { membership->reject_lost(rank, closed_connection); };
    }
    return [membership = membership_, work, bytes = transfer.bytes, rank] { membership->wait(work, rank); };
  }

  std::shared_ptr<Membership> membership_;
  c10::intrusive_ptr<c10d::Backend> backend_;
};

c10::intrusive_ptr<c10d::Store> open_store(const Rendezvous& where) {
  c10d::TCPStoreOptions options;
  options.port = where.port;
  options.isServer = where.rank == 0 && !where.has_store;
  options.numWorkers = static_cast<size_t>(where.size);
  options.waitWorkers = false;
  options.timeout = where.join_timeout;
  options.useLibUV = false;
  if (options.isServer && where.listening_socket >= 0) options.masterListenFd = where.listening_socket;
  const std::string address = where.host + ":" + std::to_string(where.port);
  try {
    return c10::make_intrusive<c10d::PrefixStore>(where.prefix, c10::make_intrusive<c10d::TCPStore>(where.host, options));
  } catch (const std::exception& error) {
    const std::string problem = error.what();
    if (problem.find("EADDRINUSE") != std::string::npos)
      reject_group("Expected a free port for the group at " + address + " but received one that another process listens on");
    reject_group("Expected the group's store at " + address + " within " + seconds(where.join_timeout) +
                 " but received no answer: see whether rank 0 was started, and with the same address");
  }
}

/// Connections to all other ranks, apart from those of other purposes.
c10::intrusive_ptr<c10d::Backend> connect(const Rendezvous& where, const c10::intrusive_ptr<c10d::Store>& store, const char* purpose,
                                          int threads, std::chrono::milliseconds timeout) {
  auto options = c10d::ProcessGroupGloo::Options::create(timeout);
  options->devices.push_back(where.interface.empty() ? c10d::ProcessGroupGloo::createDefaultDevice()
                                                     : c10d::ProcessGroupGloo::createDeviceForInterface(where.interface));
  options->threads = threads;
  const auto own = c10::make_intrusive<c10d::PrefixStore>(purpose, store);
  return c10::make_intrusive<c10d::ProcessGroupGloo>(own, where.rank, where.size, options);
}

}  // namespace

std::shared_ptr<Group> join_group(const Rendezvous& where) {
  const auto store = open_store(where);
  const auto membership = std::make_shared<Membership>(where, store, Membership::exchange_names(where, *store));
  const auto link = [&](const char* purpose, int threads) {
    return std::make_shared<GlooLink>(membership, connect(where, store, purpose, threads, where.timeout));
  };
  try {
    const auto control = link("control", 1), data = link("data", 2);
    auto open = [=, lifeline = std::shared_ptr<Lifeline>()](Group& group, at::Device device) mutable -> std::shared_ptr<Link> {
      if (device.is_cpu()) return data;
      // What is missing here the others do not know, and are not to wait for.
      auto [functions, stream] = group.part([&] { return std::pair(nccl::functions(), copy_stream(device)); });
      group.any(false);
      if (!lifeline) lifeline = std::make_shared<Lifeline>(membership, connect(where, store, "lifeline", 1, where.join_timeout));
      return NcclLink::open(functions, membership, group, device, std::move(stream));
    };
    return std::make_shared<Group>(where.rank, where.size, control, std::move(open), where.local_rank);
  } catch (const std::exception& error) {
    reject_group("Expected connections to the other ranks but received: " + std::string(error.what()));
  }
}

}  // namespace critical_sharpness
