#include "ranks/shards.hpp"

#include <c10/util/Exception.h>

#include <algorithm>

#include "kernels/chunks.hpp"

namespace critical_sharpness {
namespace {

constexpr int64_t chunk = kernels::chunk_length;

int64_t chunks_in(int64_t numbers) { return (numbers + chunk - 1) / chunk; }

}  // namespace

Shards::Shards(const std::vector<ParameterSpec>& parameters, const std::vector<std::vector<size_t>>& blocks, int rank, int size)
    : block_of_(parameters.size()), rank_(rank), size_(size) {
  for (const auto& p : parameters) lengths_.push_back(p.numel());
  for (const auto& members : blocks) {
    ShardedBlock block;
    int64_t end = 0;
    for (const size_t i : members) {
      if (parameters[i].shape.size() < 2 || block_of_[i]) continue;
      block.parameters.push_back(i);
      block.offsets.push_back(end * chunk);
      end += chunks_in(lengths_[i]);
      block_of_[i] = blocks_.size();
    }
    block.shard = (end + size - 1) / size * chunk;
    blocks_.push_back(std::move(block));
    const auto matrix = std::find_if(members.begin(), members.end(), [&](size_t i) { return block_of_[i].has_value(); });
    TORCH_INTERNAL_ASSERT(matrix != members.end());
    order_.push_back(*block_of_[*matrix]);
  }
}

int64_t Shards::offset_of(size_t parameter) const {
  const ShardedBlock& block = blocks_[*block_of_[parameter]];
  const auto found = std::find(block.parameters.begin(), block.parameters.end(), parameter);
  return block.offsets[static_cast<size_t>(found - block.parameters.begin())];
}

Extent Shards::run(size_t parameter, int rank) const {
  const int64_t shard = blocks_[*block_of_[parameter]].shard, offset = offset_of(parameter);
  const int64_t start = std::clamp<int64_t>(rank * shard - offset, 0, lengths_[parameter]);
  const int64_t end = std::clamp<int64_t>((rank + 1) * shard - offset, 0, lengths_[parameter]);
  return {start, end - start};
}

int64_t Shards::place_in_shard(size_t parameter) const {
  const Extent here = run(parameter, rank_);
  return here.length == 0 ? 0 : offset_of(parameter) + here.start - rank_ * blocks_[*block_of_[parameter]].shard;
}

}  // namespace critical_sharpness
