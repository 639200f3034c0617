#include "ranks/shared_rooms.hpp"

#include "ranks/group.hpp"

#ifdef __linux__
#include <ATen/ops/from_blob.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstring>
#include <random>
#include <string>
#include <system_error>

namespace critical_sharpness {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr auto between_doubts = 50ms;

/// Where a room begins: at a large page, of those systems that have them.
constexpr int64_t alignment = int64_t{1} << 21;
int64_t aligned(int64_t bytes) { return (bytes + alignment - 1) / alignment * alignment; }

[[noreturn]] void reject_system(const char* what) { throw std::system_error(errno, std::generic_category(), what); }

}  // namespace

/// Memory without a name, which another process of the same user opens by this one's number and its own.
class SharedRooms::File {
 public:
  File() : descriptor_(memfd_create(name, MFD_CLOEXEC)) {}
  File(int process, int descriptor) {
    const std::string place = "/proc/" + std::to_string(process) + "/fd/" + std::to_string(descriptor);
    char found[64] = {};
    // Of another host's process of that number it may be any file.
    if (readlink(place.c_str(), found, sizeof found - 1) > 0 && std::strstr(found, name)) descriptor_ = ::open(place.c_str(), O_RDWR | O_CLOEXEC);
  }
  ~File() {
    if (descriptor_ >= 0) close(descriptor_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  int descriptor() const { return descriptor_; }

  /// Bytes [offset, offset + length), by which the file grows where it is shorter.
  std::shared_ptr<char> map(int64_t offset, int64_t length) const {
    const auto size = static_cast<size_t>(length);
    if (lseek(descriptor_, 0, SEEK_END) < offset + length && ftruncate(descriptor_, offset + length) != 0)
      reject_system("Expected more memory that the ranks share but received");
    void* const place = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor_, offset);
    if (place == MAP_FAILED) reject_system("Expected room for memory that the ranks share but received");
    return {static_cast<char*>(place), [size](char* mapped) { munmap(mapped, size); }};
  }

 private:
  static constexpr const char* name = "memory of critical-sharpness's ranks";
  int descriptor_ = -1;
};

/// A rank's process, as long as it is known by its number.
class SharedRooms::Process {
 public:
  explicit Process(int number) : descriptor_(static_cast<int>(syscall(SYS_pidfd_open, number, 0))) {}
  Process(Process&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  Process& operator=(Process&&) = delete;
  ~Process() {
    if (descriptor_ >= 0) close(descriptor_);
  }
  bool is_known() const { return descriptor_ >= 0; }
  bool has_ended() const {
    pollfd asked{descriptor_, POLLIN, 0};
    return poll(&asked, 1, 0) == 1;
  }

 private:
  int descriptor_;
};

/// A rank's, in a line of the cache of its own.
struct alignas(64) SharedRooms::Progress {
  std::atomic<uint64_t> written, read;
};

/// At the memory's beginning, as zeros at first; behind it is the progress of each rank.
struct alignas(64) SharedRooms::Head {
  std::atomic<uint64_t> mark;
  std::atomic<uint32_t> changes;

  static int64_t size_for(int ranks) { return aligned(static_cast<int64_t>(sizeof(Head) + sizeof(Progress) * static_cast<size_t>(ranks))); }
  Progress& of(int rank) { return reinterpret_cast<Progress*>(this + 1)[rank]; }
};

SharedRooms::SharedRooms(int rank, std::shared_ptr<File> file, std::vector<Process> processes, Doubt doubt)
    : rank_(rank), file_(std::move(file)), processes_(std::move(processes)), doubt_(std::move(doubt)) {}
SharedRooms::~SharedRooms() = default;

std::shared_ptr<SharedRooms> SharedRooms::open(Group& group, Doubt doubt) {
  std::shared_ptr<File> file;
  std::shared_ptr<Head> head;
  // What keeps one rank from it, the others hear of at the end.
  const auto open_head = [&](const auto&... of) {
    try {
      file = std::make_shared<File>(of...);
      const auto place = file->map(0, Head::size_for(group.size()));
      head = {place, reinterpret_cast<Head*>(place.get())};
    } catch (const std::system_error&) {
      head = nullptr;
    }
  };
  if (group.rank() == 0) open_head();
  if (head) head->mark = 1 + std::random_device()() % INT_MAX;
  const auto all = group.all_gather({static_cast<double>(getpid()), static_cast<double>(file ? file->descriptor() : -1),
                                     head ? static_cast<double>(head->mark) : 0});
  const double mark = all[0][2];
  if (group.rank() > 0 && mark > 0) open_head(static_cast<int>(all[0][0]), static_cast<int>(all[0][1]));
  bool is_open = head && static_cast<double>(head->mark) == mark;
  std::vector<Process> processes;
  for (const auto& of : all) {
    processes.emplace_back(static_cast<int>(of[0]));
    is_open &= processes.back().is_known();
  }
  if (group.any(!is_open)) return nullptr;
  std::shared_ptr<SharedRooms> opened(new SharedRooms(group.rank(), std::move(file), std::move(processes), std::move(doubt)));
  opened->head_ = std::move(head);
  return opened;
}

std::vector<at::Tensor> SharedRooms::rooms(const std::vector<int64_t>& bytes) {
  int64_t total = 0;
  for (const int64_t room : bytes) total += aligned(room);
  if (total > bytes_) {
    place_ = nullptr;
    bytes_ = 0;
    place_ = file_->map(Head::size_for(static_cast<int>(processes_.size())), total);
    bytes_ = total;
  }
  std::vector<at::Tensor> found;
  char* next = place_.get();
  for (const int64_t room : bytes) {
    found.push_back(at::from_blob(next, {room}, [held = place_](void*) {}, at::kByte));
    next += aligned(room);
  }
  return found;
}

void SharedRooms::note(Count count, uint64_t use) {
  (head_->of(rank_).*count).store(use);
  head_->changes++;
  syscall(SYS_futex, &head_->changes, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

std::optional<int> SharedRooms::behind(Count count, uint64_t use) const {
  for (int rank = 0; rank < static_cast<int>(processes_.size()); rank++)
    if ((head_->of(rank).*count).load() < use) return rank;
  return std::nullopt;
}

void SharedRooms::wait_for(Count count, uint64_t use) const {
  const auto start = Clock::now();
  auto asked = start;
  for (;;) {
    const uint32_t seen = head_->changes.load();
    const auto rank = behind(count, use);
    if (!rank) return;
    timespec at_most{0, std::chrono::nanoseconds(between_doubts).count()};
    syscall(SYS_futex, &head_->changes, FUTEX_WAIT, seen, &at_most, nullptr, 0);
    if (const auto now = Clock::now(); now - asked >= between_doubts) {
      asked = now;
      doubt_(*rank, processes_[static_cast<size_t>(*rank)].has_ended(), std::chrono::duration_cast<std::chrono::milliseconds>(now - start));
    }
  }
}

void SharedRooms::note_written(uint64_t use) { note(&Progress::written, use); }
void SharedRooms::note_read(uint64_t use) { note(&Progress::read, use); }
bool SharedRooms::is_read(uint64_t use) const { return !behind(&Progress::read, use); }
void SharedRooms::wait_until_read(uint64_t use) const { wait_for(&Progress::read, use); }
void SharedRooms::wait_until_written(uint64_t use) const { wait_for(&Progress::written, use); }

}  // namespace critical_sharpness
#else
namespace critical_sharpness {

std::shared_ptr<SharedRooms> SharedRooms::open(Group&, Doubt) { return nullptr; }
SharedRooms::~SharedRooms() = default;
std::vector<at::Tensor> SharedRooms::rooms(const std::vector<int64_t>&) { return {}; }
void SharedRooms::note_written(uint64_t) {}
void SharedRooms::note_read(uint64_t) {}
bool SharedRooms::is_read(uint64_t) const { return true; }
void SharedRooms::wait_until_read(uint64_t) const {}
void SharedRooms::wait_until_written(uint64_t) const {}

}  // namespace critical_sharpness
#endif
