#include "ranks/gloo_group.hpp"

#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <set>
#include <thread>

#include "errors.hpp"

namespace critical_sharpness {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

/// Between two signs of life of a rank, which are also its looks at the others'.
constexpr auto beat = 500ms;
/// Without a sign of life for so long a rank is lost.
constexpr auto silence = 60s;

std::string key(const char* what, int rank) { return std::string(what) + "/" + std::to_string(rank); }

std::string seconds(std::chrono::milliseconds time) { return std::to_string(time.count() / 1000) + " s"; }

/// As its wait_for, by the system's clock: to wait by the steady one takes a newer C library than libtorch needs.
template <class Done>
bool wait_at_most(std::condition_variable& condition, std::unique_lock<std::mutex>& lock, std::chrono::milliseconds time, const Done& done) {
  return condition.wait_until(lock, std::chrono::system_clock::now() + time, done);
}

[[noreturn]] void reject_group(const std::string& message) { throw InputError(InputError::Kind::state, "ERR_GROUP", message); }

/// What the ranks of a group share besides their links: names, signs of life, and why it ended.
class Membership {
 public:
  Membership(const Rendezvous& where, c10::intrusive_ptr<c10d::Store> store, std::vector<std::string> names)
      : where_(where), store_(std::move(store)), watched_(store_->clone()), names_(std::move(names)) {
    watched_->setTimeout(std::chrono::duration_cast<std::chrono::milliseconds>(silence));
    watch_ = std::thread([this] { watch(); });
  }
  ~Membership() {
    {
      const std::lock_guard lock(mutex_);
      leaving_ = true;
    }
    changed_.notify_all();
    watch_.join();
  }

  /// Ends what is under way here, and tells the other ranks.
  void end(const std::string& why) {
    end_here(why);
    try {
      store_->compareSet("ended", "", why);
    } catch (const std::exception&) {
      // Without the store the others find out by themselves.
    }
  }

  /// Ends what is under way here alone.
  void leave() { end_here("Expected a group to go on with but received one that this process has left"); }

  /// Waits for a transfer with a rank.
  void wait(const c10::intrusive_ptr<c10d::Work>& work, int rank) {
    {
      const std::lock_guard lock(mutex_);
      if (why_) work->abort();
      else flying_.insert(work);
    }
    std::string problem = "no answer";
    bool done = false;
    try {
      done = work->wait();  // false, where it was given up
    } catch (const std::exception& error) {
      problem = std::string(error.what()).find("imed out") != std::string::npos ? "nothing for " + seconds(where_.timeout)
                                                                               : "a closed connection";
    }
    {
      const std::lock_guard lock(mutex_);
      flying_.erase(work);
    }
    if (!done) reject_lost(rank, problem);
  }

  /// Throws once the group has ended: nothing may be sent that another rank could take for what it waits for.
  void require_going_on() {
    const std::lock_guard lock(mutex_);
    if (why_) throw std::runtime_error(*why_);
  }

  [[noreturn]] void reject_lost(int rank, const std::string& problem) {
    std::unique_lock lock(mutex_);
    // A rank that fails says why before its connections close, and that is heard of at the next look.
    wait_at_most(changed_, lock, 3 * beat / 2, [this] { return why_.has_value(); });
    throw InputError(InputError::Kind::state, "ERR_RANK_LOST",
                     why_ ? *why_
                          : "Expected " + names_[static_cast<size_t>(rank)] + " to go on but received " + problem +
                                ": see its output, and start all ranks again");
  }

 private:
  void end_here(const std::string& why) {
    std::set<c10::intrusive_ptr<c10d::Work>> flying;
    {
      const std::lock_guard lock(mutex_);
      if (why_) return;
      why_ = why;
      flying = flying_;
    }
    changed_.notify_all();
    for (const auto& work : flying) work->abort();
  }

  /// Gives signs of life and looks for the others', until the group ends or this rank leaves it.
  void watch() {
    std::vector<int64_t> last(names_.size(), -1);
    std::vector<Clock::time_point> since(names_.size(), Clock::now());
    int64_t count = 0;
    for (;;) {
      {
        std::unique_lock lock(mutex_);
        if (wait_at_most(changed_, lock, beat, [this] { return leaving_ || why_; })) break;
      }
      try {
        watched_->set(key("beat", where_.rank), std::to_string(count++));
        if (watched_->check({"ended"})) return end_here(watched_->get_to_str("ended"));
        for (int rank = 0; rank < where_.size; rank++) {
          const auto r = static_cast<size_t>(rank);
          const int64_t now = std::stoll(watched_->get_to_str(key("beat", rank)));
          if (now != last[r]) {
            last[r] = now;
            since[r] = Clock::now();
          } else if (const auto quiet = Clock::now() - since[r]; now >= 0 && quiet > silence) {
            return end("Expected a sign of life from " + names_[r] + " but received none for " +
                       seconds(std::chrono::duration_cast<std::chrono::milliseconds>(quiet)) + ": see whether it is stopped");
          }
        }
      } catch (const std::exception&) {
        return end_here("Expected " + names_[0] + ", which keeps the group's store, to go on but received no answer from it: see its output, "
                        "and start all ranks again");
      }
    }
    try {
      if (!why_) watched_->set(key("beat", where_.rank), "-1");
    } catch (const std::exception&) {
      // Nobody is left to hear of it.
    }
  }

  Rendezvous where_;
  c10::intrusive_ptr<c10d::Store> store_, watched_;  // the second is the watching thread's
  std::vector<std::string> names_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::set<c10::intrusive_ptr<c10d::Work>> flying_;
  std::optional<std::string> why_;
  bool leaving_ = false;
  std::thread watch_;
};

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

/// Every rank's name, once all have said it.
std::vector<std::string> exchange_names(const Rendezvous& where, c10d::Store& store) {
  store.set(key("rank", where.rank), "rank " + std::to_string(where.rank) + " (" + where.name + ")");
  store.set(key("beat", where.rank), "0");
  std::vector<std::string> keys, names;
  for (int rank = 0; rank < where.size; rank++) keys.push_back(key("rank", rank));
  try {
    store.wait(keys, where.join_timeout);
  } catch (const std::exception&) {
    std::string missing;
    int count = 0;
    for (int rank = 0; rank < where.size; rank++)
      if (!store.check({keys[static_cast<size_t>(rank)]})) missing += (count++ ? ", " : "") + std::to_string(rank);
    reject_group("Expected " + std::to_string(where.size) + " ranks within " + seconds(where.join_timeout) + " but received " +
                 std::to_string(where.size - count) + ": without rank " + missing);
  }
  for (const auto& k : keys) names.push_back(store.get_to_str(k));
  return names;
}

}  // namespace

std::shared_ptr<Group> join_group(const Rendezvous& where) {
  const auto store = open_store(where);
  const auto membership = std::make_shared<Membership>(where, store, exchange_names(where, *store));
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
