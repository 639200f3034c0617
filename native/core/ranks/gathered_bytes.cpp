#include "ranks/gathered_bytes.hpp"

#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cstring>

#include "ranks/group.hpp"
#include "ranks/shards.hpp"

namespace critical_sharpness {

std::vector<uint8_t> gathered_bytes(const Layout& layout, size_t parameter, int64_t element, int64_t offset, int64_t length,
                                    const std::function<std::vector<uint8_t>(int64_t offset, int64_t length)>& here) {
  if (layout.is_whole(parameter)) return here(offset, length);
  const int64_t total = layout.parameters[parameter].numel() * element, start = std::clamp<int64_t>(offset, 0, total);
  const int64_t end = start + std::clamp<int64_t>(length, 0, total - start);
  // A rank's bytes among those that are asked for.
  const auto part_of = [&](int rank) {
    const Extent extent = layout.shards->run(parameter, rank);
    const int64_t from = std::clamp(extent.start * element, start, end);
    return Extent{from, std::clamp((extent.start + extent.length) * element, start, end) - from};
  };
  int64_t longest = 0;
  for (int rank = 0; rank < layout.group->size(); rank++) longest = std::max(longest, part_of(rank).length);
  const at::Tensor all = at::zeros({layout.group->size(), longest}, at::kByte);
  const at::Tensor row = all.select(0, layout.group->rank());
  const Extent mine = part_of(layout.group->rank());
  const auto bytes = here(mine.start - layout.run(parameter)->start * element, mine.length);
  if (!bytes.empty()) std::memcpy(row.mutable_data_ptr(), bytes.data(), bytes.size());
  layout.group->start_host_gather(all, row).wait();
  std::vector<uint8_t> result(static_cast<size_t>(end - start));
  for (int rank = 0; rank < layout.group->size(); rank++) {
    const auto [from, count] = part_of(rank);
    if (count > 0) std::memcpy(result.data() + (from - start), all.select(0, rank).const_data_ptr(), static_cast<size_t>(count));
  }
  return result;
}

}  // namespace critical_sharpness
