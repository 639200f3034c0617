#pragma once
#include "table.cuh"

namespace critical_sharpness::cuda {

inline constexpr int64_t numbers_a_block = 4096;

template <class Work>
__global__ void each_number(const __grid_constant__ Table<Work> table) {
  const Chunk<Work> chunk(table, numbers_a_block);
#pragma unroll 4
  for (int64_t i = chunk.start + threadIdx.x; i < chunk.end; i += threads_a_block) chunk.work(i);
}

/// Calls work[k](i) on the device for every i < lengths[k].
template <class Work>
void for_each_number(const std::vector<Work>& work, const std::vector<int64_t>& lengths) {
  for_each_table(work, lengths, numbers_a_block, 0,
                 [](const Table<Work>& table, unsigned blocks) { launch(each_number<Work>, blocks, table); });
}

}  // namespace critical_sharpness::cuda
