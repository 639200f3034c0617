#include "caching_allocator.hpp"

#include <ATen/ops/empty.h>
#include <c10/core/CPUAllocator.h>

#include <algorithm>
#include <atomic>
#include <optional>
#include <thread>
#include <vector>

#include "check.hpp"

using namespace critical_sharpness;

namespace {

constexpr int64_t large = int64_t{1} << 21;

/// While it lives, tensors come from the caching allocator.
class Installed {
 public:
  Installed() : before_(c10::GetCPUAllocator()) {
    install_caching_allocator();
    release_cached_memory();
  }
  ~Installed() {
    release_cached_memory();
    c10::SetCPUAllocator(before_, 1);
  }
  Installed(const Installed&) = delete;
  Installed& operator=(const Installed&) = delete;

 private:
  c10::Allocator* before_;
};

at::Tensor bytes(int64_t count) { return at::empty({count}, at::kByte); }

}  // namespace

TEST("the caching allocator gives a block to the next of its size") {
  const Installed allocator;
  const int64_t before = cached_memory().used;
  std::optional<at::Tensor> tensor = bytes(large);
  const void* data = tensor->const_data_ptr();
  tensor.reset();
  CHECK(cached_memory().kept == large && cached_memory().used == before);
  CHECK(bytes(large).const_data_ptr() == data);
  const at::Tensor again = bytes(large), other = bytes(large + 64);
  CHECK(again.const_data_ptr() == data);
  CHECK(cached_memory().kept == 0 && cached_memory().used == before + 2 * large + 64);
}

TEST("the caching allocator keeps no more than was in use at once") {
  const Installed allocator;
  const int64_t before = cached_memory().used;
  int64_t most = before;
  std::vector<at::Tensor> held;
  for (int64_t i = 0; i < 300; i++) {
    if (held.size() > static_cast<size_t>(i % 7)) held.erase(held.begin());
    held.push_back(bytes(large + 4096 * (i * 37 % 101)));  // few sizes come again soon
    const auto [kept, used] = cached_memory();
    most = std::max(most, used);
    CHECK(kept + used <= most);
  }
  held.clear();
  CHECK(cached_memory().used == before);
  CHECK(cached_memory().kept > 0 && cached_memory().kept + before <= most);
  release_cached_memory();
  CHECK(cached_memory().kept == 0);
}

TEST("the caching allocator leaves small blocks alone, and those from before it") {
  std::optional<at::Tensor> earlier = bytes(large);
  const Installed allocator;
  earlier.reset();
  bytes(100);
  CHECK(cached_memory().kept == 0);
  void* const raw = c10::GetCPUAllocator()->raw_allocate(large);
  void* const small = c10::GetCPUAllocator()->raw_allocate(64);
  c10::GetCPUAllocator()->raw_deallocate(raw);
  c10::GetCPUAllocator()->raw_deallocate(small);
  CHECK(cached_memory().kept == large);
}

TEST("the caching allocator is used from several threads") {
  const Installed allocator;
  const int64_t before = cached_memory().used;
  std::atomic<bool> whole{true};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; t++)
    threads.emplace_back([t, &whole] {
      for (int i = 0; i < 200; i++) {
        at::Tensor tensor = bytes(large + 4096 * (i % 3));
        tensor.fill_(t);
        whole = whole && tensor.eq(t).all().item<bool>();
        if (i % 50 == 0) release_cached_memory();
      }
    });
  for (auto& thread : threads) thread.join();
  CHECK(whole);
  CHECK(cached_memory().used == before);
}
