#pragma once
#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace critical_sharpness {

class Group;
class SharedRooms;

/// Transfers under way, which keep the memory that they read and write. One that is dropped is not waited for.
class Pending {
 public:
  void add(std::function<void()> wait) { waits_.push_back(std::move(wait)); }
  void add(Pending others) {
    for (auto& wait : others.waits_) waits_.push_back(std::move(wait));
  }
  /// Until all are done. Throws where one failed.
  void wait() {
    for (const auto& wait : std::exchange(waits_, {})) wait();
  }

 private:
  std::vector<std::function<void()>> waits_;
};

/// A copy between this rank and another.
struct Transfer {
  enum class Direction { send, receive };
  at::Tensor bytes;  // contiguous, and some
  int rank;          // the other
  Direction direction;
};

/// Copies of bytes between the ranks of a group, in the background.
class Link {
 public:
  virtual ~Link() = default;
  /// The transfers of one collective: together, because a GPU's copies of which one waits for another may not come one after the other.
  /// A send meets the receive of the same pair with the same tag, and tags are used in one order on every rank. The result throws
  /// ERR_RANK_LOST where another rank is gone, as this may.
  virtual Pending start(const std::vector<Transfer>& transfers, uint32_t tag) = 0;
  /// Memory that all ranks of the group read and write, asked for by all at the same place. Null: they share none.
  virtual std::shared_ptr<SharedRooms> share(Group&) { return nullptr; }
  /// Whether what was sent, and waited for here, arrives though this rank leaves.
  virtual bool arrives_without_sender() const { return true; }
  /// Ends what is under way, here and at the other ranks, which read why. May be called from any thread, as may the next.
  virtual void close(const std::string& why) = 0;
  /// Ends what is under way here.
  virtual void leave() = 0;
};

}  // namespace critical_sharpness
