#include "tokens.hpp"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <sys/mman.h>

#include <algorithm>
#include <system_error>
#include <thread>
#include <vector>

#include "chunks.hpp"

namespace critical_sharpness::kernels {
namespace {

struct Summary {
  int64_t lowest = 0, largest = 0, counted = 0;
  void add(const Summary& other) {
    lowest = std::min(lowest, other.lowest);
    largest = std::max(largest, other.largest);
    counted += other.counted;
  }
};

/// At most a chunk, so that int32 holds the count.
template <class T>
CS_INLINE Summary copy_chunk(int32_t* to, const T* from, T ignored, bool can_ignore, int64_t n) {
  T low = 0, high = 0;
  int32_t others = 0;
  for (int64_t i = 0; i < n; i++) {
    const T number = from[i];
    to[i] = static_cast<int32_t>(number);
    const bool counts = !can_ignore || number != ignored;
    const T seen = counts ? number : T(0);
    low = seen < low ? seen : low;
    high = seen > high ? seen : high;
    others += counts ? 1 : 0;
  }
  return {static_cast<int64_t>(low), static_cast<int64_t>(high), others};
}

// target_clones takes no templates, hence one plain function a type.
#define CS_COPY_LOOP(T) \
  CS_SIMD Summary copy_loop(int32_t* to, const T* from, T ignored, bool can_ignore, int64_t n) { \
    return copy_chunk(to, from, ignored, can_ignore, n);                                          \
  }
CS_COPY_LOOP(int64_t)
CS_COPY_LOOP(int32_t)
CS_COPY_LOOP(uint32_t)
CS_COPY_LOOP(uint16_t)
CS_COPY_LOOP(uint8_t)
#undef CS_COPY_LOOP

CS_SIMD int32_t count_loop(const int32_t* numbers, int32_t ignored, int64_t n) {
  int32_t others = 0;
  for (int64_t i = 0; i < n; i++) others += numbers[i] != ignored ? 1 : 0;
  return others;
}

constexpr int64_t huge_page = int64_t{2} << 20;

/// Memory for int32 numbers. New memory costs more time than copying into it: in huge pages, where the system has them, a fifth.
at::Tensor storage(at::IntArrayRef shape, int64_t count) {
  const int64_t bytes = count * 4 + huge_page;
  if (bytes < 3 * huge_page) return at::empty(shape, at::kInt);
  void* mapped = mmap(nullptr, static_cast<size_t>(bytes), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) return at::empty(shape, at::kInt);
  const auto start = (reinterpret_cast<uintptr_t>(mapped) + huge_page - 1) / huge_page * huge_page;
  void* data = reinterpret_cast<void*>(start);
#ifdef MADV_HUGEPAGE
  madvise(data, static_cast<size_t>(count * 4), MADV_HUGEPAGE);
#endif
  const auto unmap = [mapped, bytes](void*) { munmap(mapped, static_cast<size_t>(bytes)); };
  return at::from_blob(data, shape, unmap, at::TensorOptions(at::kInt));
}

template <class T>
Summary copy_range(int32_t* to, const T* from, std::optional<int64_t> ignored, int64_t begin, int64_t end) {
  const T own = ignored ? static_cast<T>(*ignored) : T(0);
  const bool can_ignore = ignored && static_cast<int64_t>(own) == *ignored;  // else no T equals it
  Summary all;
  for (int64_t start = begin; start < end; start += chunk_length)
    all.add(copy_loop(to + start, from + start, own, can_ignore, std::min(chunk_length, end - start)));
  return all;
}

/// A thread for each million numbers, up to four, the caller's among them: one alone waits for memory most of the time.
constexpr int64_t numbers_a_thread = 1 << 20;

template <class T>
Summary copy_all(int32_t* to, const T* from, std::optional<int64_t> ignored, int64_t count) {
  const auto cores = static_cast<int64_t>(std::max(1u, std::thread::hardware_concurrency()));
  const int64_t parts = std::clamp<int64_t>(count / numbers_a_thread, 1, std::min<int64_t>(4, cores));
  std::vector<Summary> summaries(static_cast<size_t>(parts));
  const auto work = [&](int64_t k) {
    summaries[static_cast<size_t>(k)] = copy_range(to, from, ignored, count * k / parts, count * (k + 1) / parts);
  };
  std::vector<std::thread> threads;
  for (int64_t k = 1; k < parts; k++) {
    try {
      threads.emplace_back(work, k);
    } catch (const std::system_error&) {
      work(k);  // the system has no thread to give
    }
  }
  work(0);
  for (auto& thread : threads) thread.join();
  Summary all;
  for (const auto& part : summaries) all.add(part);
  return all;
}

}  // namespace

CopiedIntegers copy_integers(const at::Tensor& from, std::optional<int64_t> ignored) {
  const int64_t count = from.numel();
  CopiedIntegers copied;
  copied.numbers = storage(from.sizes(), count);
  auto* to = copied.numbers.mutable_data_ptr<int32_t>();
  const Summary summary = [&] {
    switch (from.scalar_type()) {
      case at::kLong: return copy_all(to, from.const_data_ptr<int64_t>(), ignored, count);
      case at::kInt: return copy_all(to, from.const_data_ptr<int32_t>(), ignored, count);
      case at::kUInt32: return copy_all(to, from.const_data_ptr<uint32_t>(), ignored, count);
      case at::kUInt16: return copy_all(to, from.const_data_ptr<uint16_t>(), ignored, count);
      case at::kByte: return copy_all(to, from.const_data_ptr<uint8_t>(), ignored, count);
      default: TORCH_INTERNAL_ASSERT(false);
    }
  }();
  copied.lowest = summary.lowest;
  copied.largest = summary.largest;
  copied.counted = summary.counted;
  return copied;
}

int64_t count_others(const at::Tensor& numbers, int32_t ignored) {
  const auto* data = numbers.const_data_ptr<int32_t>();
  int64_t others = 0;
  for (int64_t start = 0; start < numbers.numel(); start += chunk_length)
    others += count_loop(data + start, ignored, std::min(chunk_length, numbers.numel() - start));
  return others;
}

std::pair<int64_t, int64_t> range_of(const at::Tensor& numbers) {
  const auto* data = numbers.const_data_ptr<int64_t>();
  const auto [low, high] = std::minmax_element(data, data + numbers.numel());
  return {*low, *high};
}

}  // namespace critical_sharpness::kernels
