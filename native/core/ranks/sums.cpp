#include "ranks/sums.hpp"

#include <ATen/ops/stack.h>

#include <algorithm>

#include "kernels/chunks.hpp"
#include "kernels/reduce.hpp"
#include "ranks/group.hpp"
#include "ranks/shards.hpp"

namespace critical_sharpness {
namespace {

constexpr int64_t chunk = kernels::chunk_length;

size_t chunks_in(int64_t numbers) { return static_cast<size_t>((numbers + chunk - 1) / chunk); }

/// Σ aᵢbᵢ of each chunk.
at::Tensor chunk_dots(const kernels::Delta& a, const kernels::Delta& b, int64_t length, const Cancellation& cancel) {
  std::vector<kernels::Delta> of_a, of_b;
  for (int64_t start = 0; start < length; start += chunk) {
    const int64_t here = std::min(chunk, length - start);
    of_a.push_back(kernels::is_zero(a) ? a : kernels::narrow(a, start, here));
    of_b.push_back(kernels::is_zero(b) ? b : kernels::narrow(b, start, here));
  }
  return kernels::dots(of_a, of_b, cancel);
}

void append(std::vector<double>& to, const at::Tensor& numbers) {
  const at::Tensor here = numbers.to(at::kCPU).contiguous();
  const auto* first = here.const_data_ptr<double>();
  to.insert(to.end(), first, first + here.numel());
}

}  // namespace

void Sums::add(size_t parameter, const std::vector<kernels::Delta>& a, const std::vector<kernels::Delta>& b,
               const Cancellation& cancel) {
  if (layout_.is_whole(parameter)) {
    parts_[parameter] = kernels::dots(a, b, cancel);
    return;
  }
  std::vector<at::Tensor> products;
  for (size_t k = 0; k < products_; k++) products.push_back(chunk_dots(a[k], b[k], layout_.local_numel(parameter), cancel));
  parts_[parameter] = at::stack(products);
}

std::vector<std::vector<double>> Sums::totals() const {
  std::vector<std::vector<double>> totals(products_, std::vector<double>(layout_.size(), 0.0));
  std::vector<double> mine;
  for (size_t i = 0; i < layout_.size(); i++) {
    if (!layout_.is_whole(i)) {
      const size_t count = products_ * chunks_in(layout_.local_numel(i));
      if (parts_[i].defined()) append(mine, parts_[i]);
      else mine.resize(mine.size() + count, 0.0);
      continue;
    }
    if (!parts_[i].defined()) continue;
    std::vector<double> sums;
    append(sums, parts_[i]);
    for (size_t k = 0; k < products_; k++) totals[k][i] = sums[k];
  }
  if (!layout_.shards) return totals;

  const auto count_of = [&](int rank) {
    size_t count = 0;
    for (size_t i = 0; i < layout_.size(); i++)
      if (!layout_.is_whole(i)) count += products_ * chunks_in(layout_.shards->run(i, rank).length);
    return count;
  };
  size_t most = 0;
  for (int rank = 0; rank < layout_.group->size(); rank++) most = std::max(most, count_of(rank));
  mine.resize(most, 0.0);
  // A parameter's first chunks are the first rank's, and so on.
  int rank = 0;
  for (const auto& theirs : layout_.group->all_gather(mine)) {
    size_t next = 0;
    for (size_t i = 0; i < layout_.size(); i++) {
      if (layout_.is_whole(i)) continue;
      const size_t chunks = chunks_in(layout_.shards->run(i, rank).length);
      for (size_t k = 0; k < products_; k++)
        for (size_t c = 0; c < chunks; c++) totals[k][i] += theirs[next++];
    }
    rank++;
  }
  return totals;
}

std::vector<double> dots(const Layout& layout, const std::vector<kernels::Delta>& a, const std::vector<kernels::Delta>& b,
                         const Cancellation& cancel) {
  if (!layout.shards) {
    std::vector<double> sums;
    append(sums, kernels::dots(a, b, cancel));
    return sums;
  }
  Sums sums(layout, 1);
  for (size_t i = 0; i < layout.size(); i++) sums.add(i, {a[i]}, {b[i]}, cancel);
  return sums.totals().front();
}

}  // namespace critical_sharpness
