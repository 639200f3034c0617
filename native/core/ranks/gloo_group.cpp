#include "ranks/gloo_group.hpp"

#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include "ranks/membership.hpp"

namespace critical_sharpness {
namespace {

class GlooLink final : public Link {
 public:
  GlooLink(std::shared_ptr<Membership> membership, c10::intrusive_ptr<c10d::Backend> backend)
      : membership_(std::move(membership)), backend_(std::move(backend)) {}

  std::function<void()> send(const at::Tensor& bytes, int to, uint32_t tag) override {
    return transfer(bytes, to, [&](std::vector<at::Tensor>& list) { return backend_->send(list, to, gloo_tag(tag)); });
  }
  std::function<void()> receive(const at::Tensor& bytes, int from, uint32_t tag) override {
    return transfer(bytes, from, [&](std::vector<at::Tensor>& list) { return backend_->recv(list, from, gloo_tag(tag)); });
  }
  void close(const std::string& why) override { membership_->end(why); }
  void leave() override { membership_->leave(); }

 private:
  static int gloo_tag(uint32_t tag) { return static_cast<int>(tag & 0x7fffffff); }
  template <class Start>
  std::function<void()> transfer(const at::Tensor& bytes, int rank, const Start& start) {
    if (bytes.numel() == 0) return [] {};
    std::vector<at::Tensor> list{bytes};
    c10::intrusive_ptr<c10d::Work> work;
    try {
      membership_->require_going_on();
      work = start(list);
    } catch (const std::exception&) {
      return [membership = membership_, rank] { membership->reject_lost(rank, "a closed connection"); };
    }
    return [membership = membership_, work, bytes, rank] { membership->wait(work, rank); };
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

}  // namespace

std::shared_ptr<Group> join_group(const Rendezvous& where) {
  const auto store = open_store(where);
  const auto membership = std::make_shared<Membership>(where, store, Membership::exchange_names(where, *store));
  const auto link = [&](const char* plane, int threads) {
    auto options = c10d::ProcessGroupGloo::Options::create(where.timeout);
    options->devices.push_back(where.interface.empty() ? c10d::ProcessGroupGloo::createDefaultDevice()
                                                       : c10d::ProcessGroupGloo::createDeviceForInterface(where.interface));
    options->threads = threads;
    const auto own = c10::make_intrusive<c10d::PrefixStore>(plane, store);
    return std::make_shared<GlooLink>(membership, c10::make_intrusive<c10d::ProcessGroupGloo>(own, where.rank, where.size, options));
  };
  try {
    const auto control = link("control", 1), data = link("data", 2);
    return std::make_shared<Group>(where.rank, where.size, control, data);
  } catch (const std::exception& error) {
    reject_group("Expected connections to the other ranks but received: " + std::string(error.what()));
  }
}

}  // namespace critical_sharpness
