#include "ranks/sums.hpp"

#include <ATen/ops/stack.h>

#include <algorithm>
#include <numeric>

#include "kernels/chunks.hpp"
#include "kernels/reduce.hpp"
#include "ranks/group.hpp"
#include "ranks/shards.hpp"

namespace critical_sharpness {
namespace {

constexpr int64_t chunk = kernels::chunk_length;

size_t chunks_in(int64_t numbers) { return static_cast<size_t>((numbers + chunk - 1) / chunk); }

/// Σ aᵢbᵢ of each chunk.
at::Tensor chunk_dots(const kernels::Delta& whole_a, const kernels::Delta& whole_b, int64_t length, const Cancellation& cancel) {
  const kernels::Delta a = kernels::in_parts(whole_a, cancel), b = kernels::in_parts(whole_b, cancel);
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

/// Calls body(parameter, sums) for every chunk of some parameters, of all ranks, in the order of parameters and of their chunks. `mine`:
/// [chunk][sum] of those that are here.
template <class Body>
void for_each_chunk_of_all(const Layout& layout, const std::vector<size_t>& parameters, size_t sums, std::vector<double> mine,
                           const Body& body) {
  const int size = layout.group->size();
  const auto chunks = [&](size_t i, int rank) {
    return chunks_in(layout.is_whole(i) ? layout.parameters[i].numel() : layout.shards->run(i, rank).length);
  };
  size_t most = 0;
  for (int rank = 0; rank < size; rank++) {
    size_t count = 0;
    for (const size_t i : parameters) count += sums * chunks(i, rank);
    most = std::max(most, count);
  }
  mine.resize(most, 0.0);
  const auto rows = layout.group->all_gather(mine);
  std::vector<const double*> next;
  for (const auto& row : rows) next.push_back(row.data());
  // A parameter's first chunks are the first rank's, and so on; of one that every rank has, the first rank's are as good as any.
  for (const size_t i : parameters)
    for (int rank = 0; rank < size; rank++) {
      const bool counts = rank == 0 || !layout.is_whole(i);
      for (size_t c = 0; c < chunks(i, rank); c++, next[static_cast<size_t>(rank)] += sums)
        if (counts) body(i, next[static_cast<size_t>(rank)]);
    }
}

}  // namespace

void Sums::add(size_t parameter, const std::vector<kernels::Delta>& a, const std::vector<kernels::Delta>& b,
               const Cancellation& cancel) {
  if (layout_.is_whole(parameter)) {
    parts_[parameter] = kernels::dots(a, b, cancel);
    return;
  }
  std::vector<at::Tensor> products;
  // Of a Δ that is zero nobody knows where it lies.
  for (size_t k = 0; k < products_; k++)
    products.push_back(chunk_dots(a[k], b[k], layout_.local_numel(parameter), cancel).to(layout_.device));
  parts_[parameter] = at::stack(products, 1);
}

double added_up(std::vector<double> chunks, at::Device device) {
  if (device.is_cpu()) return std::accumulate(chunks.begin(), chunks.end(), 0.0);
  // As native/cuda/sums.cuh does: a block's threads take turns, and are added up in a tree.
  constexpr size_t threads = 256, terms = 16384;
  do {
    std::vector<double> sums;
    for (size_t start = 0; start < chunks.size(); start += terms) {
      double room[threads] = {};
      for (size_t i = start; i < std::min(start + terms, chunks.size()); i++) room[(i - start) % threads] += chunks[i];
      for (size_t half = threads / 2; half > 0; half /= 2)
        for (size_t thread = 0; thread < half; thread++) room[thread] += room[thread + half];
      sums.push_back(room[0]);
    }
    chunks = std::move(sums);
  } while (chunks.size() > 1);
  return chunks.empty() ? 0 : chunks.front();
}

std::vector<std::vector<double>> Sums::totals() const {
  std::vector<std::vector<double>> totals(products_, std::vector<double>(layout_.size(), 0.0));
  std::vector<size_t> sharded;
  std::vector<double> mine;
  for (size_t i = 0; i < layout_.size(); i++) {
    std::vector<double> sums;
    if (parts_[i].defined()) append(sums, parts_[i]);
    if (layout_.is_whole(i)) {
      for (size_t k = 0; k < sums.size(); k++) totals[k][i] = sums[k];
      continue;
    }
    sharded.push_back(i);
    sums.resize(products_ * chunks_in(layout_.local_numel(i)), 0.0);
    mine.insert(mine.end(), sums.begin(), sums.end());
  }
  if (!layout_.shards) return totals;
  std::vector<std::vector<double>> chunks(products_ * layout_.size());
  for_each_chunk_of_all(layout_, sharded, products_, std::move(mine), [&](size_t i, const double* sums) {
    for (size_t k = 0; k < products_; k++) chunks[k * layout_.size() + i].push_back(sums[k]);
  });
  for (const size_t i : sharded)
    for (size_t k = 0; k < products_; k++) totals[k][i] = added_up(std::move(chunks[k * layout_.size() + i]), layout_.device);
  return totals;
}

std::vector<double> total(const Layout& layout, const std::vector<size_t>& parameters, size_t sums, std::vector<double> parts) {
  std::vector<double> total(sums, 0.0);
  for_each_chunk_of_all(layout, parameters, sums, std::move(parts), [&](size_t, const double* of_chunk) {
    for (size_t k = 0; k < sums; k++) total[k] += of_chunk[k];
  });
  return total;
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
