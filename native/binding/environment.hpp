#pragma once
#include <cstddef>
#include <deque>
#include <memory>
#include <vector>

#include "node_api.hpp"
#include "ranks/group.hpp"

namespace critical_sharpness::binding {

class Job;

/// What one JavaScript environment (the main thread's, or a worker's) has: its classes, and the way back to its thread.
/// Kept as Node-API instance data; nothing of an environment is in a static variable.
struct Environment {
  /// Also registers the cleanup hook that leaves the compute thread before the environment goes.
  explicit Environment(Napi::Env env);
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;
  static Environment& of(Napi::Env env) { return *env.GetInstanceData<Environment>(); }

  /// On this environment's thread: one job more, or less, keeps the event loop alive.
  void job_begins(napi_env env);
  void job_ends(napi_env env);

  /// Ends what waits for other ranks, so that the thread's end need not wait for it.
  void leave_groups();

  Napi::FunctionReference model, batch, vector, optimizer, curvature, krylov, cancel_token, group;
  std::vector<std::weak_ptr<Group>> groups;  // that this environment has joined
  napi_threadsafe_function way_back = nullptr;
  // On this environment's thread only.
  size_t in_flight = 0;
  size_t over_at_once = 0;  // jobs that were waited for, since one came back through the event loop

  // Both under the compute thread's lock.
  bool closing = false;
  std::deque<Job*> orphans;  // jobs that can no longer be brought back
};

}  // namespace critical_sharpness::binding
