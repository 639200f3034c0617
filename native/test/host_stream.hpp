#pragma once
#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "ranks/copy_stream.hpp"

namespace critical_sharpness::test {

/// A stream of the host, which runs what is queued on a thread of its own.
class HostStream final : public CopyStream {
 public:
  ~HostStream() override {
    add(nullptr);
    thread_.join();
  }
  void* handle() override { return this; }
  void begin() override { has_begun = true; }  // the host has computed what it was given
  std::function<bool()> mark() override {
    has_begun = false;
    auto done = std::make_shared<std::atomic<bool>>(false);
    add([done] { *done = true; });
    return [done] { return done->load(); };
  }
  void add(std::function<void()> task) {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
    changed_.notify_all();
  }

  bool has_begun = false;  // since the last mark: else copies would not wait for what is computed

 private:
  void run() {
    for (;;) {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return !tasks_.empty(); });
      const auto task = std::move(tasks_.front());
      tasks_.pop_front();
      lock.unlock();
      if (!task) return;
      task();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> tasks_;
  std::thread thread_{[this] { run(); }};
};

}  // namespace critical_sharpness::test
