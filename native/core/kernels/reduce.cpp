#include "reduce.hpp"

#include "operands.hpp"

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

double dot(const std::vector<at::Tensor>& a, const std::vector<at::Tensor>& b) {
  const auto chunks = chunks_of(a);
  std::vector<double> partial(chunks.size(), 0.0);
  with_element_type(a, [&](auto type) {
    using T = decltype(type);
    for_each_chunk(chunks, [&](const Chunk& c, size_t k) {
      if (b[c.tensor].defined()) partial[k] = dot_loop(read<T>(a[c.tensor], c), read<T>(b[c.tensor], c), c.length);
    });
  });
  double total = 0;
  for (double p : partial) total += p;
  return total;
}

}  // namespace critical_sharpness::kernels
