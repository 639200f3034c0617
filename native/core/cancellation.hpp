#pragma once
#include <atomic>
#include <memory>

#include "errors.hpp"

namespace critical_sharpness {

/// A flag that a long job polls between micro-batches and layers. Copies share the flag.
class Cancellation {
 public:
  Cancellation() : flag_(std::make_shared<std::atomic<bool>>(false)) {}
  void cancel() const { flag_->store(true, std::memory_order_relaxed); }
  /// Whether this flag, or the process's, is set.
  bool is_set() const { return flag_->load(std::memory_order_relaxed) || process_ends().load(std::memory_order_relaxed); }
  /// Throws Cancelled if it is.
  void check() const {
    if (is_set()) throw Cancelled();
  }
  /// Set once when the process is about to end, so that no job holds it up.
  static std::atomic<bool>& process_ends() {
    static std::atomic<bool> flag{false};
    return flag;
  }

 private:
  std::shared_ptr<std::atomic<bool>> flag_;
};

}  // namespace critical_sharpness
