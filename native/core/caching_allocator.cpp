#include "caching_allocator.hpp"

#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/alloc_cpu.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include <algorithm>
#include <deque>
#include <mutex>
#include <unordered_map>

namespace critical_sharpness {
namespace {

/// Below it the C library keeps blocks well enough.
constexpr size_t least = size_t{1} << 20;

class CachingAllocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t bytes) override {
    const bool is_large = bytes >= least;
    void* const data = is_large ? take(bytes) : c10::alloc_cpu(bytes);
    return {data, data, is_large ? &give_back : &c10::free_cpu, at::kCPU};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &free_any; }
  void copy_data(void* to, const void* from, size_t bytes) const override { default_copy_data(to, from, bytes); }

  void release() {
    std::deque<Block> kept;
    {
      const std::lock_guard lock(mutex_);
      kept.swap(kept_);
      kept_bytes_ = 0;
      most_used_ = used_bytes_;
    }
    for (const Block& block : kept) c10::free_cpu(block.data);
  }

  CachedMemory memory() {
    const std::lock_guard lock(mutex_);
    return {static_cast<int64_t>(kept_bytes_), static_cast<int64_t>(used_bytes_)};
  }

  static CachingAllocator& the() {
    static auto* allocator = new CachingAllocator;  // tensors may outlive whatever is destroyed at the end of the process
    return *allocator;
  }

 private:
  struct Block {
    void* data;
    size_t bytes;
  };

  void* take(size_t bytes) {
    std::unique_lock lock(mutex_);
    used_bytes_ += bytes;
    most_used_ = std::max(most_used_, used_bytes_);
    // The one that was let go last may still be in a cache of the processor.
    const auto found = std::find_if(kept_.rbegin(), kept_.rend(), [=](const Block& block) { return block.bytes == bytes; });
    if (found != kept_.rend()) {
      void* const data = found->data;
      kept_.erase(std::next(found).base());
      kept_bytes_ -= bytes;
      sizes_[data] = bytes;
      return data;
    }
    for (; !kept_.empty() && used_bytes_ + kept_bytes_ > most_used_; kept_.pop_front()) {
      kept_bytes_ -= kept_.front().bytes;
      c10::free_cpu(kept_.front().data);
    }
    lock.unlock();
    void* const data = allocated(bytes);
    lock.lock();
    sizes_[data] = bytes;
    return data;
  }

  void* allocated(size_t bytes) {
    try {
      try {
        return c10::alloc_cpu(bytes);
      } catch (...) {
        release();
        return c10::alloc_cpu(bytes);
      }
    } catch (...) {
      const std::lock_guard lock(mutex_);
      used_bytes_ -= bytes;
      throw;
    }
  }

  /// Whether it was one of the large blocks.
  bool keep(void* data) {
    const std::lock_guard lock(mutex_);
    const auto size = sizes_.find(data);
    if (size == sizes_.end()) return false;
    kept_.push_back({data, size->second});
    kept_bytes_ += size->second;
    used_bytes_ -= size->second;
    sizes_.erase(size);
    return true;
  }

  static void give_back(void* data) { the().keep(data); }
  static void free_any(void* data) {
    if (!the().keep(data)) c10::free_cpu(data);
  }

  std::mutex mutex_;
  std::unordered_map<void*, size_t> sizes_;  // of blocks in use
  std::deque<Block> kept_;                   // the longest kept first
  size_t kept_bytes_ = 0, used_bytes_ = 0, most_used_ = 0;
};

}  // namespace

void install_caching_allocator() { c10::SetCPUAllocator(&CachingAllocator::the(), 1); }
void release_cached_memory() {
  CachingAllocator::the().release();
#ifdef __GLIBC__
  malloc_trim(0);  // blocks that came and went between others stay with the process, whose heap shrinks from its end only
#endif
}
CachedMemory cached_memory() { return CachingAllocator::the().memory(); }

}  // namespace critical_sharpness
