#pragma once
#include <ATen/core/Tensor.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace critical_sharpness {

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

/// Copies of bytes between the ranks of a group, in the background. A send meets the receive of the same pair with the same tag.
class Link {
 public:
  virtual ~Link() = default;
  /// `bytes`: contiguous. The result waits for the transfer, and throws ERR_RANK_LOST where the other rank is gone.
  virtual std::function<void()> send(const at::Tensor& bytes, int to, uint32_t tag) = 0;
  virtual std::function<void()> receive(const at::Tensor& bytes, int from, uint32_t tag) = 0;
  /// Ends what is under way, here and at the other ranks, which read why. May be called from any thread, as may the next.
  virtual void close(const std::string& why) = 0;
  /// Ends what is under way here.
  virtual void leave() = 0;
};

}  // namespace critical_sharpness
