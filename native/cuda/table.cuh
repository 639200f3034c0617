#pragma once
#include <algorithm>
#include <cstdint>
#include <vector>

#include "launch.cuh"

namespace critical_sharpness::cuda {

/// Several tensors' work in one launch: as many as fit into the 4 KiB of a kernel's arguments. A block does a chunk of one.
template <class Work>
struct Table {
  static constexpr int most = static_cast<int>(3600 / (sizeof(Work) + sizeof(int64_t) + sizeof(unsigned)));
  static_assert(most > 1);

  Work work[most];
  int64_t lengths[most];
  unsigned first_block[most];
  int count;
};

/// A block's part of a table.
template <class Work>
struct Chunk {
  Work work;
  int64_t start, end;

  __device__ Chunk(const Table<Work>& table, int64_t numbers) {
    int low = 0, high = table.count;  // the last tensor whose first block is not after this one
    while (high - low > 1) {
      const int middle = (low + high) / 2;
      if (table.first_block[middle] <= blockIdx.x) low = middle;
      else high = middle;
    }
    work = table.work[low];
    start = static_cast<int64_t>(blockIdx.x - table.first_block[low]) * numbers;
    end = start + numbers < table.lengths[low] ? start + numbers : table.lengths[low];
  }
};

inline int64_t chunks_in(int64_t length, int64_t numbers) { return (length + numbers - 1) / numbers; }

/// Calls body(table, its blocks) for tables of all the work; `numbers` to a block. Work without numbers gets `least` blocks.
template <class Work, class Body>
void for_each_table(const std::vector<Work>& work, const std::vector<int64_t>& lengths, int64_t numbers, int64_t least,
                    const Body& body) {
  Table<Work> table;
  table.count = 0;
  int64_t blocks = 0;
  const auto flush = [&] {
    if (blocks > 0) body(table, static_cast<unsigned>(blocks));
    table.count = 0;
    blocks = 0;
  };
  for (size_t i = 0; i < work.size(); i++) {
    const int64_t more = std::max(least, chunks_in(lengths[i], numbers));
    if (more == 0) continue;
    if (table.count == Table<Work>::most || blocks + more > INT32_MAX) flush();
    table.work[table.count] = work[i];
    table.lengths[table.count] = lengths[i];
    table.first_block[table.count++] = static_cast<unsigned>(blocks);
    blocks += more;
  }
  flush();
}

}  // namespace critical_sharpness::cuda
