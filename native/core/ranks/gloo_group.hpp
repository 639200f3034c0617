#pragma once
#include <chrono>
#include <memory>
#include <string>

#include "ranks/group.hpp"

namespace critical_sharpness {

/// Where the ranks of a group find each other, as torchrun says it in the environment.
struct Rendezvous {
  std::string host = "127.0.0.1";  // rank 0's
  uint16_t port = 0;
  int rank = 0, size = 1;
  int local_rank = 0;  // among those of this host
  /// Whether another process keeps the store at that address: torchrun's agent.
  bool has_store = false;
  /// An open socket that rank 0 listens on, so that nobody takes the port before. −1: it opens one.
  int listening_socket = -1;
  /// Sets groups at one address apart.
  std::string prefix;
  /// The network interface to the other ranks, if it is not this host's default. All on one host: "lo".
  std::string interface;
  /// What this rank is called in messages: its host and process.
  std::string name;
  std::chrono::milliseconds join_timeout{300'000}, timeout{1'800'000};
};

/// Joins the group, which is there once all ranks have: over Gloo, and over NCCL what lies on CUDA devices. Throws ERR_GROUP, which names
/// ranks that are missing.
std::shared_ptr<Group> join_group(const Rendezvous& where);

}  // namespace critical_sharpness
