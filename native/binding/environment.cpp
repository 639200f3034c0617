#include "environment.hpp"

#include <memory>

#include "compute_thread.hpp"

namespace critical_sharpness::binding {
namespace {

/// Called by Node-API on the environment's thread for a job that is over; without `env` when the environment goes first.
void bring_back(napi_env env, napi_value, void* context, void* data) {
  const std::unique_ptr<Job> job(static_cast<Job*>(data));
  if (!env) return;
  static_cast<Environment*>(context)->job_ends(env);
  const Napi::HandleScope scope(env);
  job->settle(env);
}

}  // namespace

Environment::Environment(Napi::Env env) {
  const Napi::String name = Napi::String::New(env, "critical-sharpness");
  if (napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, nullptr, nullptr, this, bring_back, &way_back) != napi_ok)
    throw Napi::Error::New(env);
  napi_unref_threadsafe_function(env, way_back);
  // Hooks run in reverse order: this one before the thread-safe function's own.
  env.AddCleanupHook([this] {
    leave_groups();
    leave_compute_thread(*this);
  });
}

void Environment::leave_groups() {
  for (const auto& joined : groups)
    if (const auto group = joined.lock()) group->leave();
}

void Environment::job_begins(napi_env env) {
  if (in_flight++ == 0) napi_ref_threadsafe_function(env, way_back);
}

void Environment::job_ends(napi_env env) {
  over_at_once = 0;
  if (--in_flight == 0) napi_unref_threadsafe_function(env, way_back);
}

}  // namespace critical_sharpness::binding
