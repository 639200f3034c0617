#include "compute_thread.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "caching_allocator.hpp"
#include "info.hpp"

namespace critical_sharpness::binding {
namespace {

/// What may wait to be freed behind a long job; beyond it the event loop frees by itself.
constexpr int64_t most_waiting_bytes = int64_t{2} << 30;
/// How long the thread looks for its next job before it sleeps: about what a caller takes from a result to its next call. To be woken
/// would take both of them longer.
constexpr std::chrono::microseconds attentive{50};
/// How long a caller waits for a job, if the last one took no longer: a few times what two threads take to wake each other. Only where there
/// is a CPU for it: libtorch's own threads would wait for the one that waits.
constexpr std::chrono::microseconds patience{300};
/// How many jobs in a row a caller waits for: then its event loop turns, for timers, signals and whoever else has work there.
constexpr size_t most_at_once = 50;
/// How long after its last job memory is kept for the next one: longer than what lies between the passes of a measurement.
constexpr std::chrono::milliseconds keeps_memory{1000};

class ComputeThread {
 public:
  void prepare(std::function<void()> prepare) {
    const std::lock_guard lock(mutex_);
    if (!prepare_) prepare_ = std::move(prepare);
  }

  bool enqueue(std::unique_ptr<Job>& job) {
    const std::lock_guard lock(mutex_);
    if (stopped_ || job->owner.closing) return false;
    if (!thread_.joinable()) thread_ = std::thread([this] { loop(); });
    job->is_awaited = waiting_pays_ && !running_ && queue_.empty() && job->owner.over_at_once < most_at_once;
    queue_.push_back(job.get());
    job.release();
    has_work_ = true;
    wake_.notify_one();
    return true;
  }

  bool is_over_at_once(Job& job) {
    if (!job.is_awaited) return false;
    const auto end = std::chrono::steady_clock::now() + patience;
    while (!job.is_over && std::chrono::steady_clock::now() < end) std::this_thread::yield();
    const std::lock_guard lock(mutex_);  // also: the compute thread has done with it
    job.is_awaited = false;
    job.owner.over_at_once += job.is_over;
    return job.is_over;
  }

  void let_go(std::shared_ptr<const void> object, int64_t bytes) {
    const std::lock_guard lock(mutex_);
    // `stopped_` first: from then on another thread may be joining, which changes `thread_` without this lock.
    if (stopped_ || !thread_.joinable() || waiting_bytes_ + bytes > most_waiting_bytes) return;  // freed by the caller, here
    garbage_.push_back(std::move(object));
    waiting_bytes_ += bytes;
    has_work_ = true;
    wake_.notify_one();
  }

  void leave(Environment& environment) {
    std::unique_lock lock(mutex_);
    environment.closing = true;
    const auto its_own = [&](Job* job) { return &job->owner == &environment; };
    if (running_ && its_own(running_)) running_->cancel.cancel();
    const auto first = std::stable_partition(queue_.begin(), queue_.end(), [&](Job* job) { return !its_own(job); });
    std::vector<Job*> dropped(first, queue_.end());
    queue_.erase(first, queue_.end());
    idle_.wait(lock, [&] { return !running_ || !its_own(running_); });
    dropped.insert(dropped.end(), environment.orphans.begin(), environment.orphans.end());
    environment.orphans.clear();
    lock.unlock();
    for (Job* job : dropped) delete job;
  }

  void shut_down() {
    {
      const std::lock_guard lock(mutex_);
      stopped_ = true;
      has_work_ = true;
      Cancellation::process_ends() = true;
      for (Job* job : std::exchange(queue_, {})) {
        job->refuse(std::make_exception_ptr(Cancelled()));
        bring_back(job);
      }
      wake_.notify_all();
    }
    const std::lock_guard joining(join_mutex_);  // a worker may shut down while the main thread does
    if (thread_.joinable()) thread_.join();
  }

 private:
  void loop() {
    std::unique_lock lock(mutex_);
    if (prepare_) prepare_();
    const auto is_wanted = [&] { return stopped_ || !garbage_.empty() || !queue_.empty(); };
    while (true) {
      has_work_ = is_wanted();
      if (!has_work_) {
        lock.unlock();
        look_out();
        lock.lock();
      }
      // By the system's clock: to wait by the steady one takes a newer C library than libtorch needs.
      if (!wake_.wait_until(lock, std::chrono::system_clock::now() + keeps_memory, is_wanted)) {
        lock.unlock();
        release_cached_memory();
        lock.lock();
        wake_.wait(lock, is_wanted);
      }
      if (stopped_) return;
      if (!garbage_.empty()) {  // before the next job, which may need the memory
        auto garbage = std::exchange(garbage_, {});
        waiting_bytes_ = 0;
        lock.unlock();
        garbage.clear();
        lock.lock();
        continue;
      }
      running_ = queue_.front();
      queue_.pop_front();
      lock.unlock();
      const auto start = std::chrono::steady_clock::now();
      running_->run();
      lock.lock();
      waiting_pays_ = std::chrono::steady_clock::now() - start <= patience && leaves_a_cpu();
      bring_back(running_);
      running_ = nullptr;
      idle_.notify_all();
    }
  }

  void look_out() const {
    const auto end = std::chrono::steady_clock::now() + attentive;
    while (!has_work_ && std::chrono::steady_clock::now() < end) std::this_thread::yield();
  }

  /// Under the lock.
  static void bring_back(Job* job) {
    if (job->is_awaited) {
      job->is_over = true;
      return;
    }
    Environment& owner = job->owner;
    if (owner.closing || napi_call_threadsafe_function(owner.way_back, job, napi_tsfn_nonblocking) != napi_ok)
      owner.orphans.push_back(job);
  }

  std::mutex mutex_, join_mutex_;
  std::condition_variable wake_, idle_;
  std::function<void()> prepare_;
  std::deque<Job*> queue_;
  Job* running_ = nullptr;
  bool waiting_pays_ = false;  // going by what ran last
  std::vector<std::shared_ptr<const void>> garbage_;
  int64_t waiting_bytes_ = 0;
  bool stopped_ = false;
  std::atomic<bool> has_work_{false};
  std::thread thread_;
};

/// Leaked on purpose: no destructor may run at the end of the process while its thread is inside libtorch.
ComputeThread& compute_thread() {
  static auto* thread = new ComputeThread;
  return *thread;
}

}  // namespace

void prepare_compute_thread(std::function<void()> prepare) { compute_thread().prepare(std::move(prepare)); }
bool enqueue(std::unique_ptr<Job>& job) { return compute_thread().enqueue(job); }
bool is_over_at_once(Job& job) { return compute_thread().is_over_at_once(job); }
void let_go(std::shared_ptr<const void> object, int64_t bytes) { compute_thread().let_go(std::move(object), bytes); }
void leave_compute_thread(Environment& environment) { compute_thread().leave(environment); }
void shut_down_compute_thread() { compute_thread().shut_down(); }

}  // namespace critical_sharpness::binding
