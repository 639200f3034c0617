#include "ranks/whole.hpp"

#include <ATen/ops/empty.h>

#include "ranks/group.hpp"
#include "ranks/shards.hpp"

namespace critical_sharpness {

std::shared_ptr<const Layout> whole_layout(const Layout& layout) {
  auto whole = std::make_shared<Layout>(layout);
  whole->group = nullptr;
  whole->shards = nullptr;
  return whole;
}

std::vector<at::Tensor> whole_tensors(const Layout& layout, const std::vector<at::Tensor>& here) {
  std::vector<at::Tensor> whole = here;
  if (!layout.shards) return whole;
  for (const auto& [parameters, offsets, shard] : layout.shards->blocks()) {
    at::Tensor all, mine;
    for (const size_t i : parameters) {
      if (!here[i].defined()) continue;
      if (!all.defined()) {
        all = at::empty({shard * layout.group->size()}, here[i].options());
        mine = all.narrow(0, shard * layout.group->rank(), shard);
      }
      const int64_t length = layout.local_numel(i);
      if (length > 0) mine.narrow(0, layout.shards->place_in_shard(i), length).copy_(here[i]);
    }
    if (!all.defined()) continue;
    Pending gather = layout.group->start_all_gather(all, mine);
    layout.group->wait(gather);
    for (size_t k = 0; k < parameters.size(); k++) {
      const ParameterSpec& spec = layout.parameters[parameters[k]];
      if (here[parameters[k]].defined()) whole[parameters[k]] = all.narrow(0, offsets[k], spec.numel()).view(spec.shape);
    }
  }
  return whole;
}

}  // namespace critical_sharpness
