#pragma once
// NCCL among threads of this process, over the host's memory: what a link does wrong with streams, groups and states shows here.
// Calls only queue. A group is queued when its communicator is asked for its state, not before: who marks the stream earlier marks
// nothing. A group is over when all its transfers have met their partners'; one by one they hold up the stream, as NCCL's do.
// Its streams are a HostStream each.
#include "ranks/nccl_functions.hpp"

namespace critical_sharpness::test {

nccl::Functions fake_nccl();

/// What the communicators of a rank do from here on, until the end of the object: how a GPU, or a network, fails.
class FakeFault {
 public:
  enum class Kind {
    error,  // after so many groups the next one never ends, and the state says so
    hang,   // the next one never ends
    join,   // none is made
  };
  FakeFault(Kind kind, int rank, int groups = 0);
  ~FakeFault();
  FakeFault(const FakeFault&) = delete;
  FakeFault& operator=(const FakeFault&) = delete;
};

/// Communicators that were made and not aborted.
int open_communicators();

}  // namespace critical_sharpness::test
