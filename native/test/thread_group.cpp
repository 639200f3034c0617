#include "thread_group.hpp"

#include <torch/csrc/distributed/c10d/HashStore.hpp>

#include <condition_variable>
#include <cstring>
#include <map>
#include <mutex>
#include <tuple>

#include "errors.hpp"
#include "host_stream.hpp"
#include "ranks/nccl_link.hpp"
#include "ranks/shared_rooms.hpp"

namespace critical_sharpness::test {
namespace {

struct Letter {
  at::Tensor bytes;
  bool received = false;
};

class Post {
 public:
  std::shared_ptr<Letter> send(std::tuple<int, int, uint32_t> address, const at::Tensor& bytes) {
    const std::lock_guard lock(mutex_);
    auto letter = std::make_shared<Letter>(Letter{bytes});
    letters_[address] = letter;
    changed_.notify_all();
    return letter;
  }
  void wait(const Letter& letter) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return letter.received || !why_.empty(); });
    require_open();
  }
  void receive(std::tuple<int, int, uint32_t> address, const at::Tensor& into) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return letters_.contains(address) || !why_.empty(); });
    require_open();
    const auto letter = letters_.extract(address).mapped();
    TORCH_INTERNAL_ASSERT(letter->bytes.nbytes() == into.nbytes());
    if (into.nbytes() > 0) std::memcpy(into.mutable_data_ptr(), letter->bytes.const_data_ptr(), into.nbytes());
    letter->received = true;
    changed_.notify_all();
  }
  void check() {
    const std::lock_guard lock(mutex_);
    require_open();
  }
  void close(const std::string& why) {
    const std::lock_guard lock(mutex_);
    if (why_.empty()) why_ = why;
    changed_.notify_all();
  }

 private:
  void require_open() const {
    if (!why_.empty()) throw InputError(InputError::Kind::state, "ERR_RANK_LOST", why_);
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::tuple<int, int, uint32_t>, std::shared_ptr<Letter>> letters_;
  std::string why_;
};

class ThreadLink : public Link {
 public:
  ThreadLink(std::shared_ptr<Post> post, int rank) : post_(std::move(post)), rank_(rank) {}
  Pending start(const std::vector<Transfer>& transfers, uint32_t tag) override {
    Pending pending;
    for (const auto& [bytes, rank, direction] : transfers) {
      if (direction == Transfer::Direction::send) pending.add([post = post_, letter = post_->send({rank_, rank, tag}, bytes)] { post->wait(*letter); });
      else pending.add([post = post_, bytes = bytes, address = std::tuple(rank, rank_, tag)] { post->receive(address, bytes); });
    }
    return pending;
  }
  std::shared_ptr<SharedRooms> share(Group& group) override {
    return SharedRooms::open(group, [post = post_](int, bool, std::chrono::milliseconds) { post->check(); });
  }
  void close(const std::string& why) override { post_->close(why); }
  void leave() override { post_->close("Expected every rank but received one that left"); }

 private:
  std::shared_ptr<Post> post_;
  int rank_;
};

/// Beside an NcclLink: what ends one ends both, as it does over Gloo.
class ControlLink final : public ThreadLink {
 public:
  ControlLink(const std::shared_ptr<Post>& post, int rank, std::shared_ptr<Membership> membership)
      : ThreadLink(post, rank), membership_(std::move(membership)) {
    membership_->on_end([post](const std::string& why) { post->close(why); });
  }
  void close(const std::string& why) override { membership_->end(why); }
  void leave() override { membership_->leave(); }

 private:
  std::shared_ptr<Membership> membership_;
};

}  // namespace

std::vector<std::shared_ptr<Group>> thread_groups(int size) {
  const auto control = std::make_shared<Post>(), data = std::make_shared<Post>();
  std::vector<std::shared_ptr<Group>> groups;
  for (int rank = 0; rank < size; rank++)
    groups.push_back(std::make_shared<Group>(rank, size, std::make_shared<ThreadLink>(control, rank),
                                             [data, rank](Group&, at::Device) { return std::make_shared<ThreadLink>(data, rank); }));
  return groups;
}

std::vector<std::shared_ptr<Group>> nccl_groups(int size, std::chrono::milliseconds timeout, const nccl::Functions& functions) {
  const c10::intrusive_ptr<c10d::Store> store = c10::make_intrusive<c10d::HashStore>();
  std::vector<std::string> names;
  for (int rank = 0; rank < size; rank++) {
    names.push_back("rank " + std::to_string(rank) + " (thread)");
    store->set("beat/" + std::to_string(rank), "0");
  }
  const auto control = std::make_shared<Post>();
  std::vector<std::shared_ptr<Group>> groups;
  for (int rank = 0; rank < size; rank++) {
    Rendezvous where;
    where.rank = rank;
    where.size = size;
    where.timeout = where.join_timeout = timeout;
    const auto membership = std::make_shared<Membership>(where, store, names);
    const auto open = [=](Group& group, at::Device device) { return NcclLink::open(functions, membership, group, device, std::make_unique<HostStream>()); };
    groups.push_back(std::make_shared<Group>(rank, size, std::make_shared<ControlLink>(control, rank, membership), open));
  }
  return groups;
}

}  // namespace critical_sharpness::test
