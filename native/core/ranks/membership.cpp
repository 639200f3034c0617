#include "ranks/membership.hpp"

#include <utility>

#include "errors.hpp"

namespace critical_sharpness {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

/// Between two signs of life of a rank, which are also its looks at the others'.
constexpr auto beat = 500ms;
/// Without a sign of life for so long a rank is lost.
constexpr auto silence = 60s;

/// A rank that fails says why before its connections close, and that is heard of at the next look.
constexpr auto to_hear_of_failure = 3 * beat / 2;
/// Of one that is gone without a word another hears first, and then says so.
constexpr auto to_hear_of_loss = 3 * to_hear_of_failure;

std::string key(const char* what, int rank) { return std::string(what) + "/" + std::to_string(rank); }

/// As its wait_for, by the system's clock: to wait by the steady one takes a newer C library than libtorch needs.
template <class Done>
bool wait_at_most(std::condition_variable& condition, std::unique_lock<std::mutex>& lock, std::chrono::milliseconds time, const Done& done) {
  return condition.wait_until(lock, std::chrono::system_clock::now() + time, done);
}

}  // namespace

void reject_group(const std::string& message) { throw InputError(InputError::Kind::state, "ERR_GROUP", message); }

std::string seconds(std::chrono::milliseconds time) { return std::to_string(time.count() / 1000) + " s"; }

std::vector<std::string> Membership::exchange_names(const Rendezvous& where, c10d::Store& store) {
  store.set(key("rank", where.rank), "rank " + std::to_string(where.rank) + " (" + where.name + ")");
  store.set(key("beat", where.rank), "0");
  std::vector<std::string> keys, names;
  for (int rank = 0; rank < where.size; rank++) keys.push_back(key("rank", rank));
  try {
    store.wait(keys, where.join_timeout);
  } catch (const std::exception&) {
    std::string missing;
    int count = 0;
    for (int rank = 0; rank < where.size; rank++)
      if (!store.check({keys[static_cast<size_t>(rank)]})) missing += (count++ ? ", " : "") + std::to_string(rank);
    reject_group("Expected " + std::to_string(where.size) + " ranks within " + seconds(where.join_timeout) + " but received " +
                 std::to_string(where.size - count) + ": without rank " + missing);
  }
  for (const auto& k : keys) names.push_back(store.get_to_str(k));
  return names;
}

Membership::Membership(const Rendezvous& where, c10::intrusive_ptr<c10d::Store> store, std::vector<std::string> names)
    : where_(where), store_(std::move(store)), watched_(store_->clone()), names_(std::move(names)) {
  watched_->setTimeout(std::chrono::duration_cast<std::chrono::milliseconds>(silence));
  watch_ = std::thread([this] { watch(); });
}

Membership::~Membership() {
  {
    const std::lock_guard lock(mutex_);
    leaving_ = true;
  }
  changed_.notify_all();
  watch_.join();
}

void Membership::end(const std::string& why) {
  end_here(why);
  try {
    store_->compareSet("ended", "", why);
  } catch (const std::exception&) {
    // Without the store the others find out by themselves.
  }
}

void Membership::wait(const c10::intrusive_ptr<c10d::Work>& work, int rank) {
  {
    const std::lock_guard lock(mutex_);
    if (why_) work->abort();
    else flying_.insert(work);
  }
  std::string problem = "no answer";
  bool done = false;
  try {
    done = work->wait();  // false, where it was given up
  } catch (const std::exception& error) {
    problem = std::string(error.what()).find("imed out") != std::string::npos ? "nothing for " + seconds(where_.timeout)
                                                                             : closed_connection;
  }
  {
    const std::lock_guard lock(mutex_);
    flying_.erase(work);
  }
  if (!done) reject_lost(rank, problem);
}

void Membership::require_going_on() {
  const std::lock_guard lock(mutex_);
  if (why_) throw std::runtime_error(*why_);
}

void Membership::on_end(std::function<void(const std::string&)> call) {
  {
    const std::lock_guard lock(mutex_);
    if (!why_) {
      on_end_.push_back(std::move(call));
      return;
    }
  }
  call(*why_);
}

bool Membership::has_ended() {
  const std::lock_guard lock(mutex_);
  return why_.has_value();
}

std::optional<std::string> Membership::reason(std::chrono::milliseconds time) {
  std::unique_lock lock(mutex_);
  wait_at_most(changed_, lock, time, [this] { return why_.has_value(); });
  return why_;
}

std::string Membership::loss_of(int rank, const std::string& problem) const {
  return "Expected " + names_[static_cast<size_t>(rank)] + " to go on but received " + problem + ": see its output, and start all ranks again";
}

void Membership::reject_lost(int rank, const std::string& problem) {
  const auto why = reason(to_hear_of_failure);
  throw InputError(InputError::Kind::state, "ERR_RANK_LOST", why ? *why : loss_of(rank, problem));
}

void Membership::reject_transfer(const std::string& problem) {
  if (!reason(to_hear_of_loss)) end("Expected every rank's transfers to go on but received " + problem + ": see all ranks' output, and start them again");
  throw InputError(InputError::Kind::state, "ERR_RANK_LOST", *reason(to_hear_of_failure));
}

void Membership::lose(int rank) {
  if (!reason(to_hear_of_failure)) end(loss_of(rank, closed_connection));
}

void Membership::end_here(const std::string& why) {
  std::set<c10::intrusive_ptr<c10d::Work>> flying;
  std::vector<std::function<void(const std::string&)>> calls;
  {
    const std::lock_guard lock(mutex_);
    if (why_) return;
    why_ = why;
    flying = flying_;
    calls = std::exchange(on_end_, {});
  }
  changed_.notify_all();
  for (const auto& work : flying) work->abort();
  for (const auto& call : calls) call(why);
}

void Membership::watch() {
  std::vector<int64_t> last(names_.size(), -1);
  std::vector<Clock::time_point> since(names_.size(), Clock::now());
  int64_t count = 0;
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      if (wait_at_most(changed_, lock, beat, [this] { return leaving_ || why_; })) break;
    }
    try {
      watched_->set(key("beat", where_.rank), std::to_string(count++));
      if (watched_->check({"ended"})) return end_here(watched_->get_to_str("ended"));
      for (int rank = 0; rank < where_.size; rank++) {
        const auto r = static_cast<size_t>(rank);
        const int64_t now = std::stoll(watched_->get_to_str(key("beat", rank)));
        if (now != last[r]) {
          last[r] = now;
          since[r] = Clock::now();
        } else if (const auto quiet = Clock::now() - since[r]; now >= 0 && quiet > silence) {
          return end("Expected a sign of life from " + names_[r] + " but received none for " +
                     seconds(std::chrono::duration_cast<std::chrono::milliseconds>(quiet)) + ": see whether it is stopped");
        }
      }
    } catch (const std::exception&) {
      return end_here("Expected " + names_[0] + ", which keeps the group's store, to go on but received no answer from it: see its output, "
                      "and start all ranks again");
    }
  }
  try {
    if (!why_) watched_->set(key("beat", where_.rank), "-1");
  } catch (const std::exception&) {
    // Nobody is left to hear of it.
  }
}

}  // namespace critical_sharpness
