#pragma once
#include "chunks.hpp"

namespace critical_sharpness::kernels {

// Sums over a row in sixteen running sums: they vectorise, in the same order on every instruction set.

template <class T, class Term>
CS_INLINE T row_sum(int64_t n, const Term& term) {
  constexpr int lanes = 16;
  T sums[lanes] = {};
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes)
    for (int k = 0; k < lanes; k++) sums[k] += term(i + k);
  for (; i < n; i++) sums[0] += term(i);
  T total = 0;
  for (T s : sums) total += s;
  return total;
}

/// Rows that make about a chunk.
inline int64_t rows_at_once(int64_t width) { return std::max<int64_t>(1, chunk_length / std::max<int64_t>(1, width)); }

}  // namespace critical_sharpness::kernels
