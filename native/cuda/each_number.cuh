#pragma once
#include "table.cuh"

namespace critical_sharpness::cuda {

inline constexpr int64_t numbers_a_block = 4096;

template <class Work>
__global__ void each_number(const __grid_constant__ Table<Work> table) {
  const Chunk<Work> chunk(table, numbers_a_block);
  // As many turns for every block, so that the loop unrolls and loads are under way at once.
  for (int turn = 0; turn < numbers_a_block / threads_a_block; turn++)
    if (const int64_t i = chunk.start + turn * threads_a_block + threadIdx.x; i < chunk.end) chunk.work(i);
}

/// Calls work[k](i) on the device for every i < lengths[k].
template <class Work>
void for_each_number(const std::vector<Work>& work, const std::vector<int64_t>& lengths) {
  for_each_table(work, lengths, numbers_a_block, 0,
                 [](const Table<Work>& table, unsigned blocks) { launch(each_number<Work>, blocks, table); });
}

}  // namespace critical_sharpness::cuda
