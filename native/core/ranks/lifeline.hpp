#pragma once
#include <torch/csrc/distributed/c10d/Backend.hpp>

#include <atomic>
#include <memory>
#include <thread>

#include "ranks/membership.hpp"

namespace critical_sharpness {

/// Ends a group at once when a rank is gone, where the transfers do not say so: a GPU waits for another without end. Each rank watches
/// the next one, by a message that never comes.
class Lifeline {
 public:
  /// `backend`: connections for this alone.
  Lifeline(std::shared_ptr<Membership> membership, c10::intrusive_ptr<c10d::Backend> backend);
  ~Lifeline();
  Lifeline(const Lifeline&) = delete;
  Lifeline& operator=(const Lifeline&) = delete;

 private:
  std::shared_ptr<Membership> membership_;
  c10::intrusive_ptr<c10d::Backend> backend_;
  c10::intrusive_ptr<c10d::Work> message_;
  std::atomic<bool> leaving_{false};
  std::thread watch_;
};

}  // namespace critical_sharpness
