#pragma once
#include <c10/core/Device.h>

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "ranks/link.hpp"
#include "ranks/nccl_functions.hpp"

namespace critical_sharpness::nccl {

/// One rank's end of what NCCL transfers over. No call waits for another rank: `state` says how far the last one is. One that is aborted
/// takes no more transfers. May be called from any thread.
class Endpoint {
 public:
  Endpoint(const Functions& functions, at::Device device, const UniqueId& id, int rank, int size);
  ~Endpoint() { abort(); }
  Endpoint(const Endpoint&) = delete;
  Endpoint& operator=(const Endpoint&) = delete;

  /// Queues the transfers on a stream, as one. They are there once the state is success.
  void start(const std::vector<Transfer>& transfers, void* stream);
  /// success, in_progress, or what went wrong: here or at any other rank, at any time.
  Result state();
  bool is_aborted();
  /// What is under way ends, half done.
  void abort();
  std::string name_of(Result error) const;

 private:
  const Functions functions_;
  const at::Device device_;
  std::mutex mutex_;  // of the next two: NCCL's calls for one communicator come one after the other
  Communicator* communicator_ = nullptr;
  Result error_ = success;  // of a call that said so itself
};

}  // namespace critical_sharpness::nccl
