#pragma once
#include <torch/csrc/distributed/c10d/Store.hpp>
#include <torch/csrc/distributed/c10d/Work.hpp>

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "ranks/gloo_group.hpp"

namespace critical_sharpness {

/// What the ranks of a group share besides their links: names, signs of life, and why it ended. A thread of its own gives the signs and
/// watches the others'.
class Membership {
 public:
  Membership(const Rendezvous& where, c10::intrusive_ptr<c10d::Store> store, std::vector<std::string> names);
  ~Membership();

  /// Every rank's name, once all have said it. Throws ERR_GROUP, which names ranks that are missing.
  static std::vector<std::string> exchange_names(const Rendezvous& where, c10d::Store& store);

  /// Ends what is under way here, and tells the other ranks.
  void end(const std::string& why);
  /// Ends what is under way here alone.
  void leave() { end_here("Expected a group to go on with but received one that this process has left"); }
  /// Calls that when the group ends here, from whichever thread ends it; at once where it has.
  void on_end(std::function<void(const std::string& why)> call);
  bool has_ended();
  /// Waits for a transfer with a rank.
  void wait(const c10::intrusive_ptr<c10d::Work>& work, int rank);
  /// Throws once the group has ended: nothing may be sent that another rank could take for what it waits for.
  void require_going_on();
  /// Throws ERR_RANK_LOST: what ended the group, or else what was wrong with a rank, or with a transfer of which nobody knows whose
  /// fault it was. That ends the group.
  [[noreturn]] void reject_lost(int rank, const std::string& problem);
  [[noreturn]] void reject_transfer(const std::string& problem);
  /// A rank's connection is closed: ends the group.
  void lose(int rank);
  const Rendezvous& where() const { return where_; }

 private:
  void end_here(const std::string& why);
  /// Why the group has ended, after at most that time to hear of it.
  std::optional<std::string> reason(std::chrono::milliseconds time);
  std::string loss_of(int rank, const std::string& problem) const;
  /// Until the group ends or this rank leaves it.
  void watch();

  Rendezvous where_;
  c10::intrusive_ptr<c10d::Store> store_, watched_;  // the second is the watching thread's
  std::vector<std::string> names_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::set<c10::intrusive_ptr<c10d::Work>> flying_;
  std::vector<std::function<void(const std::string&)>> on_end_;
  std::optional<std::string> why_;
  bool leaving_ = false;
  std::thread watch_;
};

/// What a rank that is gone is known by.
inline constexpr const char* closed_connection = "a closed connection";

[[noreturn]] void reject_group(const std::string& message);

/// For messages.
std::string seconds(std::chrono::milliseconds time);

}  // namespace critical_sharpness
