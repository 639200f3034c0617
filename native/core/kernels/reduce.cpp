#include "reduce.hpp"

#include <ATen/ops/zeros.h>

#include <algorithm>
#include <utility>

#include "chunks.hpp"
#include "device.hpp"

namespace critical_sharpness::kernels {
namespace {

/// Sixteen running sums: they vectorise, and are the same sums on every instruction set.
template <class T>
CS_INLINE double partial_dot(const T* a, const T* b, int64_t n) {
  constexpr int lanes = 16;
  double sums[lanes] = {};
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes)
    for (int k = 0; k < lanes; k++) sums[k] += static_cast<double>(a[i + k]) * static_cast<double>(b[i + k]);
  for (; i < n; i++) sums[0] += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  double total = 0;
  for (double s : sums) total += s;
  return total;
}
CS_SIMD double dot_loop(const float* a, const float* b, int64_t n) { return partial_dot(a, b, n); }
CS_SIMD double dot_loop(const double* a, const double* b, int64_t n) { return partial_dot(a, b, n); }

}  // namespace

namespace {

/// Sums of directions some of whose parts are made whole: of those, one parameter after the other.
at::Tensor dots_one_by_one(std::vector<Delta> a, std::vector<Delta> b, const Cancellation& cancel) {
  std::vector<std::pair<int64_t, at::Tensor>> of_whole;
  for (size_t i = 0; i < a.size(); i++) {
    if (!is_whole(a[i]) && !is_whole(b[i])) continue;
    cancel.check();
    if (!is_zero(a[i]) && !is_zero(b[i]))
      of_whole.emplace_back(i, dots({in_parts(a[i], cancel)}, {in_parts(b[i], cancel)}, cancel));
    a[i] = b[i] = Delta();
  }
  at::Tensor sums = dots(a, b, cancel);
  // Without any that can be read in parts there was none to say on which device.
  if (!of_whole.empty()) sums = sums.to(of_whole.front().second.device());
  for (const auto& [i, sum] : of_whole) sums.narrow(0, i, 1).copy_(sum);
  return sums;
}

}  // namespace

at::Tensor dots(const std::vector<Delta>& a, const std::vector<Delta>& b, const Cancellation& cancel) {
  if (std::any_of(a.begin(), a.end(), is_whole) || std::any_of(b.begin(), b.end(), is_whole))
    return dots_one_by_one(a, b, cancel);
  std::vector<int64_t> lengths;
  const Delta* any = nullptr;
  for (size_t i = 0; i < a.size(); i++) {
    const bool both = !is_zero(a[i]) && !is_zero(b[i]);
    lengths.push_back(both ? like(a[i]).numel() : 0);
    if (both) any = &a[i];
  }
  at::Tensor sums = at::zeros({static_cast<int64_t>(a.size())}, at::kDouble);
  if (!any) return sums;
  CS_ON_CUDA(like(*any), dots(a, b));
  const auto chunks = chunks_of(lengths);
  std::vector<double> partial(chunks.size(), 0.0);
  const auto sum = [&](auto type) {
    using T = decltype(type);
    for_each_chunk(chunks, cancel, [&](const Chunk& c, size_t k) {
      ChunkBuffer of_a, of_b;
      partial[k] = dot_loop(static_cast<const T*>(read(a[c.tensor], c.start, c.length, of_a.data)),
                            static_cast<const T*>(read(b[c.tensor], c.start, c.length, of_b.data)), c.length);
    });
  };
  if (like(*any).scalar_type() == at::kDouble) sum(double{});
  else sum(float{});
  auto* sum_of = sums.mutable_data_ptr<double>();
  for (size_t k = 0; k < chunks.size(); k++) sum_of[chunks[k].tensor] += partial[k];
  return sums;
}

}  // namespace critical_sharpness::kernels
