#pragma once
#include <optional>
#include <utility>

#include "compute_thread.hpp"
#include "js_error.hpp"

namespace critical_sharpness::binding {

/// The one kind of asynchronous operation: `work()` on the compute thread, `to_js(env, result)` on the JavaScript thread.
/// `work` owns (by shared_ptr) what it uses and holds nothing of JavaScript's: it is destroyed on the compute thread.
/// Whatever either throws rejects the promise, with the stack of the caller.
template <class Work, class ToJs>
class Operation final : public Job {
  using Result = decltype(std::declval<Work&>()());

 public:
  Operation(Napi::Env env, Work work, ToJs to_js, Cancellation cancel)
      : Job(Environment::of(env), std::move(cancel)),
        work_(std::move(work)),
        to_js_(std::move(to_js)),
        deferred_(Napi::Promise::Deferred::New(env)),
        called_at_(Napi::Persistent(Napi::Error::New(env, "").Value())) {}

  Napi::Promise promise() const { return deferred_.Promise(); }

  void run() noexcept override {
    try {
      cancel.check();
      result_.emplace((*work_)());
    } catch (...) {
      exception_ = std::current_exception();
    }
    work_.reset();  // what it held last is freed here, not on the event loop
  }

  void refuse(std::exception_ptr reason) noexcept override { exception_ = std::move(reason); }

  void settle(Napi::Env env) noexcept override {
    try {
      if (const Napi::Value value = convert(env); !value.IsEmpty()) return deferred_.Resolve(value);
      Napi::Error error = to_js_error(env, exception_);
      adopt_frames(error, called_at_.Value());
      deferred_.Reject(error.Value());
    } catch (...) {
      // No JavaScript can run any more: a worker is being terminated, and its promises with it.
    }
  }

 private:
  /// Empty if there is no result, or none that could be converted.
  Napi::Value convert(Napi::Env env) {
    if (exception_) return {};
    try {
      return to_js_(env, std::move(*result_));
    } catch (...) {
      exception_ = std::current_exception();
      return {};
    }
  }

  std::optional<Work> work_;
  ToJs to_js_;
  std::optional<Result> result_;
  std::exception_ptr exception_;
  Napi::Promise::Deferred deferred_;
  Napi::ObjectReference called_at_;
};

/// Queues an operation and returns its promise. `cancel` is the flag that `work` polls; one set before the operation's turn
/// comes spares it the work.
template <class Work, class ToJs>
Napi::Value submit(Napi::Env env, Work work, ToJs to_js, Cancellation cancel = {}) {
  auto operation = std::make_unique<Operation<Work, ToJs>>(env, std::move(work), std::move(to_js), std::move(cancel));
  const Napi::Promise promise = operation->promise();
  std::unique_ptr<Job> job = std::move(operation);
  Job& queued = *job;
  if (enqueue(job)) {
    if (is_over_at_once(queued))
      job.reset(&queued);
    else
      queued.owner.job_begins(env);
  } else {
    job->refuse(std::make_exception_ptr(InputError(InputError::Kind::state, "ERR_SHUTDOWN",
        "Expected a running compute thread for the operation but received one that was shut down: the process is ending")));
  }
  if (job) job->settle(env);
  return promise;
}

/// For work without a result.
struct Nothing {};
inline Napi::Value to_undefined(Napi::Env env, Nothing) { return env.Undefined(); }
inline Napi::Value to_boolean(Napi::Env env, bool value) { return Napi::Boolean::New(env, value); }
inline Napi::Value to_number(Napi::Env env, double number) { return Napi::Number::New(env, number); }

}  // namespace critical_sharpness::binding
