#pragma once
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

#include "table.cuh"

namespace critical_sharpness::cuda {

inline constexpr int64_t terms_a_block = 16384;

/// out[block] = Σ term(i) over the block's chunk: each thread its own, then in a tree. The order is always the same.
template <class Term>
__global__ void sum_chunks(const __grid_constant__ Table<Term> table, double* out) {
  __shared__ double room[threads_a_block];
  const Chunk<Term> chunk(table, terms_a_block);
  double sum = 0;
  for (int64_t i = chunk.start + threadIdx.x; i < chunk.end; i += threads_a_block) sum += chunk.work(i);
  room[threadIdx.x] = sum;
  for (unsigned half = threads_a_block / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) room[threadIdx.x] += room[threadIdx.x + half];
  }
  if (threadIdx.x == 0) out[blockIdx.x] = room[0];
}

struct StoredTerm {
  const double* numbers;
  __device__ double operator()(int64_t i) const { return numbers[i]; }
};

/// Chunks of so many terms: one at least.
inline int64_t chunks_of_terms(int64_t length) { return std::max<int64_t>(1, chunks_in(length, terms_a_block)); }

/// Of each chunk of the terms, one after the other, Σ terms[k](i) in float64 on the device. `options`: its device.
template <class Term>
at::Tensor sums_of_chunks(const std::vector<Term>& terms, const std::vector<int64_t>& lengths, at::TensorOptions options) {
  int64_t total = 0;
  for (const int64_t length : lengths) total += chunks_of_terms(length);
  at::Tensor out = at::empty({total}, options.dtype(at::kDouble));
  double* to = out.mutable_data_ptr<double>();
  for_each_table(terms, lengths, terms_a_block, 1, [&](const Table<Term>& table, unsigned blocks) {
    launch(sum_chunks<Term>, blocks, table, to);
    to += blocks;
  });
  return out;
}

/// Σ terms[k](i) over i < lengths[k], for each k.
template <class Term>
at::Tensor sums_of(const std::vector<Term>& terms, const std::vector<int64_t>& lengths, at::TensorOptions options) {
  const at::Tensor out = sums_of_chunks(terms, lengths, options);
  if (out.numel() == static_cast<int64_t>(terms.size())) return out;
  std::vector<StoredTerm> partial;
  std::vector<int64_t> chunks;
  const double* from = out.const_data_ptr<double>();
  for (const int64_t length : lengths) {
    partial.push_back({from});
    chunks.push_back(chunks_of_terms(length));
    from += chunks.back();
  }
  return sums_of(partial, chunks, options);
}

}  // namespace critical_sharpness::cuda
