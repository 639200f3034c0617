#pragma once
#include <atomic>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>

#include "cancellation.hpp"
#include "environment.hpp"

namespace critical_sharpness::binding {

/// Work for the compute thread and its promise.
class Job {
 public:
  Job(Environment& owner, Cancellation cancel) : owner(owner), cancel(std::move(cancel)) {}
  virtual ~Job() = default;
  /// On the compute thread.
  virtual void run() noexcept = 0;
  /// Instead of run(), on any thread: the promise will reject with `reason`.
  virtual void refuse(std::exception_ptr reason) noexcept = 0;
  /// Settles the promise, on the owner's JavaScript thread, after run() or refuse().
  virtual void settle(Napi::Env env) noexcept = 0;

  Environment& owner;
  const Cancellation cancel;  // stops run()

  // Of a job whose caller waits for it where it called it. The first is written by that thread alone, under the compute thread's lock.
  bool is_awaited = false;
  std::atomic<bool> is_over{false};
};

// One thread runs the jobs of all environments, one after the other in the order of their calls: libtorch keeps a pool of
// threads, and a count of them, for every thread that calls it. The thread starts with the first job.

/// What the thread does before its first job. The first call of the process counts, if it comes before that job.
void prepare_compute_thread(std::function<void()> prepare);

/// Queues a job, to be brought back to the event loop. False, and the job stays the caller's, once the process (or the environment) ends.
bool enqueue(std::unique_ptr<Job>& job);

/// At once after `enqueue`: true if the job is over, not to be brought back, and the caller's again. A job that can be expected to be
/// short is waited for, but for a fraction of a millisecond only.
bool is_over_at_once(Job& job);

/// Destroys a reference to a core object on the compute thread: giving back half a gigabyte takes 40 ms, too long for the
/// event loop. `bytes` is what it holds, at most.
void let_go(std::shared_ptr<const void> object, int64_t bytes);

/// On the environment's own thread, before it is torn down: cancels and drops its jobs, waits for the running one.
void leave_compute_thread(Environment& environment);

/// Cancels all jobs, refuses new ones and joins the thread; their promises reject. For the end of the process. Idempotent.
void shut_down_compute_thread();

}  // namespace critical_sharpness::binding
