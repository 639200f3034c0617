#pragma once
#include <ATen/core/Tensor.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace critical_sharpness {

class Group;

/// Memory that the ranks of a group share where they are processes of one Linux host: each writes its part of a block where all read it,
/// and nothing is copied. The uses of blocks are numbered through all passes, alike on every rank.
class SharedRooms {
 public:
  /// Asked several times a second while this rank waits for another: throws to give it up. `gone`: its process has ended.
  using Doubt = std::function<void(int rank, bool gone, std::chrono::milliseconds waited)>;

  /// By all ranks at the same place. Null, on all of them: they share no memory, being on several hosts, or on a system without.
  static std::shared_ptr<SharedRooms> open(Group& group, Doubt doubt);
  ~SharedRooms();
  SharedRooms(const SharedRooms&) = delete;
  SharedRooms& operator=(const SharedRooms&) = delete;

  /// Rooms of so many bytes each, the same on every rank and with whatever stands in them, until the next are asked for.
  std::vector<at::Tensor> rooms(const std::vector<int64_t>& bytes);
  /// The first of the next `count` uses of rooms.
  uint64_t take(uint64_t count) { return std::exchange(next_, next_ + count); }

  /// Of all uses before `use`: this rank's part is written; this rank reads them no more.
  void note_written(uint64_t use);
  void note_read(uint64_t use);
  /// The same of all ranks.
  bool is_read(uint64_t use) const;
  void wait_until_read(uint64_t use) const;
  void wait_until_written(uint64_t use) const;

 private:
  class File;
  class Process;
  struct Head;
  struct Progress;
  using Count = std::atomic<uint64_t> Progress::*;

  SharedRooms(int rank, std::shared_ptr<File> file, std::vector<Process> processes, Doubt doubt);
  void note(Count count, uint64_t use);
  /// A rank that has not come so far.
  std::optional<int> behind(Count count, uint64_t use) const;
  void wait_for(Count count, uint64_t use) const;

  int rank_;
  std::shared_ptr<File> file_;
  std::vector<Process> processes_;
  Doubt doubt_;
  std::shared_ptr<Head> head_;
  std::shared_ptr<char> place_;  // of all rooms
  int64_t bytes_ = 0;
  uint64_t next_ = 0;
};

}  // namespace critical_sharpness
