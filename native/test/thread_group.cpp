#include "thread_group.hpp"

#include <condition_variable>
#include <cstring>
#include <map>
#include <mutex>
#include <tuple>

#include "errors.hpp"

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

class ThreadLink final : public Link {
 public:
  ThreadLink(std::shared_ptr<Post> post, int rank) : post_(std::move(post)), rank_(rank) {}
  std::function<void()> send(const at::Tensor& bytes, int to, uint32_t tag) override {
    return [post = post_, letter = post_->send({rank_, to, tag}, bytes)] { post->wait(*letter); };
  }
  std::function<void()> receive(const at::Tensor& bytes, int from, uint32_t tag) override {
    return [post = post_, bytes, address = std::tuple(from, rank_, tag)] { post->receive(address, bytes); };
  }
  void close(const std::string& why) override { post_->close(why); }
  void leave() override { post_->close("Expected every rank but received one that left"); }

 private:
  std::shared_ptr<Post> post_;
  int rank_;
};

}  // namespace

std::vector<std::shared_ptr<Group>> thread_groups(int size) {
  const auto control = std::make_shared<Post>(), data = std::make_shared<Post>();
  std::vector<std::shared_ptr<Group>> groups;
  for (int rank = 0; rank < size; rank++)
    groups.push_back(std::make_shared<Group>(rank, size, std::make_shared<ThreadLink>(control, rank), std::make_shared<ThreadLink>(data, rank)));
  return groups;
}

}  // namespace critical_sharpness::test
