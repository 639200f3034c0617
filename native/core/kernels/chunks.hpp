#pragma once
#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>

#include <algorithm>
#include <vector>

#include "cancellation.hpp"

// Compiles a loop for several instruction sets and picks one when the library is loaded. Contraction to fused
// multiply-add is off for the whole project, so that every variant gives the same bits.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define CS_SIMD __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define CS_SIMD
#endif
#define CS_INLINE inline __attribute__((always_inline))

namespace critical_sharpness::kernels {

/// A stretch of one tensor of a list. Lists are worked off in chunks over all their tensors at once, so that many
/// small parameters are one parallel loop; chunks have a fixed size, so results do not depend on the thread count.
struct Chunk {
  size_t tensor;
  int64_t start, length;
  int64_t offset;  // of its first value, were all defined tensors one after the other
};
inline constexpr int64_t chunk_length = 1 << 14;  // 64 KiB of float32: a few operands fit in a core's L2
/// Between two looks at a cancellation: 16 M numbers, long enough to keep many cores busy.
inline constexpr size_t chunks_at_a_time = 1024;

/// Room for a chunk's numbers, not initialised.
struct ChunkBuffer {
  alignas(64) char data[chunk_length * sizeof(double)];
};

/// Of tensors with so many numbers.
inline std::vector<Chunk> chunks_of(const std::vector<int64_t>& lengths) {
  std::vector<Chunk> chunks;
  int64_t offset = 0;
  for (size_t i = 0; i < lengths.size(); i++)
    for (int64_t start = 0; start < lengths[i]; start += chunk_length) {
      const int64_t length = std::min(chunk_length, lengths[i] - start);
      chunks.push_back({i, start, length, offset});
      offset += length;
    }
  return chunks;
}

/// The undefined among the tensors have none.
inline std::vector<Chunk> chunks_of(const std::vector<at::Tensor>& tensors) {
  std::vector<int64_t> lengths;
  for (const auto& t : tensors) lengths.push_back(t.defined() ? t.numel() : 0);
  return chunks_of(lengths);
}

/// Calls body(chunk, its number) for the chunks [first, last), in parallel.
template <class Body>
void for_chunks(const std::vector<Chunk>& chunks, size_t first, size_t last, const Body& body) {
  at::parallel_for(static_cast<int64_t>(first), static_cast<int64_t>(last), 1, [&](int64_t begin, int64_t end) {
    for (int64_t k = begin; k < end; k++) body(chunks[k], static_cast<size_t>(k));
  });
}

/// The same for every chunk.
template <class Body>
void for_each_chunk(const std::vector<Chunk>& chunks, const Body& body) {
  for_chunks(chunks, 0, chunks.size(), body);
}

/// The same, unless it is cancelled: then it throws Cancelled, and what is written is written in part.
template <class Body>
void for_each_chunk(const std::vector<Chunk>& chunks, const Cancellation& cancel, const Body& body) {
  for (size_t first = 0; first < chunks.size(); first += chunks_at_a_time) {
    cancel.check();
    for_chunks(chunks, first, std::min(first + chunks_at_a_time, chunks.size()), body);
  }
}

}  // namespace critical_sharpness::kernels
