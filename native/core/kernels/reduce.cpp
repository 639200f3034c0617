#include "reduce.hpp"

#include "chunks.hpp"

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

std::vector<double> dots(at::ScalarType dtype, const std::vector<int64_t>& lengths, const ReadNumbers& a, const ReadNumbers& b) {
  const auto chunks = chunks_of(lengths);
  std::vector<double> partial(chunks.size(), 0.0);
  const auto sum = [&](auto type) {
    using T = decltype(type);
    for_each_chunk(chunks, [&](const Chunk& c, size_t k) {
      ChunkBuffer of_a, of_b;
      partial[k] = dot_loop(static_cast<const T*>(a(c.tensor, c.start, c.length, of_a.data)),
                            static_cast<const T*>(b(c.tensor, c.start, c.length, of_b.data)), c.length);
    });
  };
  if (dtype == at::kDouble) sum(double{});
  else sum(float{});
  std::vector<double> sums(lengths.size(), 0.0);
  for (size_t k = 0; k < chunks.size(); k++) sums[chunks[k].tensor] += partial[k];
  return sums;
}

}  // namespace critical_sharpness::kernels
