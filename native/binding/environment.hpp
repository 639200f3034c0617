#pragma once
#include <cstddef>
#include <deque>

#include "node_api.hpp"

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

  Napi::FunctionReference model, batch, vector, optimizer, curvature, krylov, cancel_token;
  napi_threadsafe_function way_back = nullptr;
  size_t in_flight = 0;  // on this environment's thread only

  // Both under the compute thread's lock.
  bool closing = false;
  std::deque<Job*> orphans;  // jobs that can no longer be brought back
};

}  // namespace critical_sharpness::binding
