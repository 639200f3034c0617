#pragma once
#include <cstdint>
#include <optional>
#include <vector>

#include "layout.hpp"

namespace critical_sharpness {

/// The matrices that a pass reads together, one after the other, each from a whole chunk of the kernels on; cut into as many equal
/// runs of chunks as there are ranks. So the runs one after the other are the matrices, and a chunk's sum is one rank's.
struct ShardedBlock {
  std::vector<size_t> parameters;
  std::vector<int64_t> offsets;  // of each, in numbers from the block's start
  int64_t shard = 0;             // numbers of each rank
};

/// Which numbers of a model's matrices each rank keeps. All else is on every rank.
class Shards {
 public:
  /// `blocks`: as of Network::blocks.
  Shards(const std::vector<ParameterSpec>& parameters, const std::vector<std::vector<size_t>>& blocks, int rank, int size);

  const std::vector<ShardedBlock>& blocks() const { return blocks_; }
  /// Blocks as a pass reads them: the last is the first again, where a head is tied. Empty: nothing is sharded.
  const std::vector<size_t>& order() const { return order_; }
  /// None: every rank has all of the parameter.
  std::optional<size_t> block_of(size_t parameter) const { return block_of_[parameter]; }
  /// What a rank keeps of a sharded parameter.
  Extent run(size_t parameter, int rank) const;
  /// What this rank keeps of a parameter. None: all of it.
  std::optional<Extent> run(size_t parameter) const {
    return block_of_[parameter] ? std::optional(run(parameter, rank_)) : std::nullopt;
  }
  /// Where this rank's numbers of a sharded parameter begin in its shard of the block; 0, where it has none.
  int64_t place_in_shard(size_t parameter) const;

 private:
  int64_t offset_of(size_t parameter) const;

  std::vector<int64_t> lengths_;
  std::vector<ShardedBlock> blocks_;
  std::vector<size_t> order_;
  std::vector<std::optional<size_t>> block_of_;
  int rank_, size_;
};

}  // namespace critical_sharpness
