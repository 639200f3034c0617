#pragma once
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "cancellation.hpp"
#include "errors.hpp"
#include "ranks/link.hpp"

namespace critical_sharpness {

/// What a rank is about to do, as far as the ranks must do the same.
struct Call {
  std::string name;
  /// What it is done with: names for people, and numbers or bits.
  std::vector<std::pair<std::string, uint64_t>> with;
};

/// The processes that share a model: ranks 0 … size − 1. It copies and never computes, so that no result depends on how. Its
/// members are called in one order on every rank.
class Group {
 public:
  /// The link for tensors on a device, to the ranks of a group, all of which open it at the same place.
  using OpenLink = std::function<std::shared_ptr<Link>(Group& group, at::Device device)>;

  /// What the host knows goes over `control`. Weights and gradients go over a link of the device where they lie, which is opened when
  /// they are first sent: so the models of a group choose it, and a group of CPUs needs nothing of a GPU's. `local_rank`: this one's
  /// among those of its host.
  Group(int rank, int size, std::shared_ptr<Link> control, OpenLink open, int local_rank = 0)
      : rank_(rank), size_(size), local_rank_(local_rank), control_(std::move(control)), open_(std::move(open)) {}

  int rank() const { return rank_; }
  int size() const { return size_; }
  int local_rank() const { return local_rank_; }

  /// body() on every rank at once, once they agree that it is the same everywhere. Throws on every rank: ERR_RANKS_DIFFER, which
  /// names one that is about to do something else; Cancelled where one of them asks for it. A rank that fails in the body for a
  /// reason of its own takes the others out of it, and the group is at its end.
  template <class Body>
  auto call(const Call& call, const Cancellation& cancel, const Body& body) {
    agree(call, cancel.is_set());
    const Parting parting(*this);
    try {
      return body();
    } catch (const InputError&) {
      throw;  // of what all ranks know alike, or of a rank that is lost
    } catch (const Cancelled&) {
      throw;
    } catch (const std::exception& error) {
      close("Expected rank " + std::to_string(rank_) + " to finish \"" + call.name + "\" but received: " + error.what());
      throw;
    }
  }

  /// body(), this rank's own part of a call: what is wrong with it the others do not know, and are taken out of the call.
  template <class Body>
  auto part(const Body& body) {
    try {
      return body();
    } catch (const InputError& error) {
      if (error.code != "ERR_RANK_LOST") close("Expected rank " + std::to_string(rank_) + " to finish its part but received: " + error.what());
      throw;
    }
  }

  /// Of every rank its numbers, as many from each, in the order of ranks.
  std::vector<std::vector<double>> all_gather(const std::vector<double>& mine);
  /// Whether one of the ranks says so.
  bool any(bool mine);
  /// out [size, …] ← in […] of every rank. `in` may be this rank's own part of `out`.
  Pending start_all_gather(const at::Tensor& out, const at::Tensor& in);
  /// The same of what the host knows, whatever the device of weights.
  Pending start_host_gather(const at::Tensor& out, const at::Tensor& in);
  /// Fills the parts of `out`, [size, …], that come from other ranks; its own stands there already. Of `in`, [size − 1, …], part
  /// place_among_others(r) goes to rank r. Summed in the order of ranks, that is a reduce-scatter whose bits are known.
  Pending start_exchange(const at::Tensor& out, const at::Tensor& in);
  int place_among_others(int rank) const { return rank < rank_ ? rank : rank - 1; }
  /// Memory on a device that all ranks share, where they do: null, or the same whenever all ask for it.
  const std::shared_ptr<SharedRooms>& shared_rooms(at::Device device);
  /// Until these are done.
  void wait(Pending& transfers);
  /// Seconds that this rank has waited for weights and gradients of others, in all. May be read from any thread.
  double waited() const { return waited_.load(); }
  /// Ends what is under way on every rank. May be called from any thread, as may the next.
  void close(const std::string& why);
  /// Ends what is under way here, for a process that is about to go.
  void leave();

 private:
  /// The end of a call, for better or worse. Where its transfers need their sender, no rank goes on before all are through it: one
  /// that has all it needs may be about to leave.
  class Parting {
   public:
    explicit Parting(Group& group) : group_(group) {}
    ~Parting() { group_.part_ways(); }
    Parting(const Parting&) = delete;
    Parting& operator=(const Parting&) = delete;

   private:
    Group& group_;
  };

  void agree(const Call& call, bool stop);
  void part_ways();
  Link& data_of(at::Device device);
  Pending gather(Link& link, const at::Tensor& out, const at::Tensor& in);
  template <class Body>
  void for_each_link(const Body& body);

  int rank_, size_, local_rank_;
  std::shared_ptr<Link> control_;
  OpenLink open_;
  std::mutex mutex_;  // of the next
  std::unordered_map<at::Device, std::shared_ptr<Link>> data_;
  std::unordered_map<at::Device, std::shared_ptr<SharedRooms>> shared_;
  bool must_part_ = false;
  uint32_t tag_ = 0;
  uint64_t calls_ = 0;
  std::atomic<double> waited_{0};
};

/// body(), over a group as a call of all its ranks. Null: alone.
template <class Body>
auto together(Group* group, const Call& call, const Cancellation& cancel, const Body& body) {
  return group ? group->call(call, cancel, body) : body();
}

/// body(), this rank's own part of a call. Null: alone.
template <class Body>
auto own_part(Group* group, const Body& body) {
  return group ? group->part(body) : body();
}

/// A number's bits, for a call.
uint64_t bits_of(double number);

}  // namespace critical_sharpness
