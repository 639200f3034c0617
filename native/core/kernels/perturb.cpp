#include "perturb.hpp"

#include <ATen/Parallel.h>
#include <c10/util/BFloat16.h>

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "chunks.hpp"
#include "device.hpp"
#include "operands.hpp"

namespace critical_sharpness::kernels {
namespace {

template <class T>
CS_INLINE void combine(T* out, const T* weight, const T* direction, T learning_rate, int64_t n) {
  for (int64_t i = 0; i < n; i++) out[i] = weight[i] - learning_rate * direction[i];
}

/// Round to nearest, ties to even, as c10::BFloat16 does, in a form that vectorises.
CS_INLINE uint16_t to_bfloat16(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  const uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  return static_cast<uint16_t>(x != x ? 0x7fc0u : rounded);
}

CS_SIMD void perturb_f32(float* out, const float* w, const float* d, float eta, int64_t n) { combine(out, w, d, eta, n); }
CS_SIMD void perturb_f64(double* out, const double* w, const double* d, double eta, int64_t n) { combine(out, w, d, eta, n); }
CS_SIMD void perturb_bf16(uint16_t* out, const float* w, const float* d, float eta, int64_t n) {
  for (int64_t i = 0; i < n; i++) out[i] = to_bfloat16(w[i] - eta * d[i]);
}
CS_SIMD void round_bf16(uint16_t* out, const float* w, int64_t n) {
  for (int64_t i = 0; i < n; i++) out[i] = to_bfloat16(w[i]);
}
CS_SIMD void step_bf16(uint16_t* out, const float* d, float eta, int64_t n) {
  for (int64_t i = 0; i < n; i++) out[i] = to_bfloat16(-eta * d[i]);
}

uint16_t* bits_of(const at::Tensor& tensor) { return reinterpret_cast<uint16_t*>(tensor.mutable_data_ptr<at::BFloat16>()); }

/// Calls body(start, length) over `count` numbers, in parallel, at most a chunk at a time.
template <class Body>
void in_chunks(int64_t count, const Body& body) {
  at::parallel_for(0, count, chunk_length, [&](int64_t begin, int64_t end) {
    for (int64_t start = begin; start < end; start += chunk_length) body(start, std::min(chunk_length, end - start));
  });
}

}  // namespace

void perturb(const at::Tensor& out, const at::Tensor& weight, const Delta& delta, double learning_rate) {
  const bool rounds = out.scalar_type() == at::kBFloat16;
  if (is_zero(delta) && !rounds) {
    out.copy_(weight);
    return;
  }
  if (is_whole(delta)) return perturb(out, weight, in_parts(delta), learning_rate);
  CS_ON_CUDA(out, perturb(out, weight, delta, learning_rate));
  const auto eta = static_cast<float>(learning_rate);
  in_chunks(weight.numel(), [&](int64_t start, int64_t n) {
    ChunkBuffer buffer;
    const void* d = is_zero(delta) ? nullptr : read(delta, start, n, buffer.data);
    if (rounds) {
      const float* w = weight.const_data_ptr<float>() + start;
      if (d) perturb_bf16(bits_of(out) + start, w, static_cast<const float*>(d), eta, n);
      else round_bf16(bits_of(out) + start, w, n);
    } else if (weight.scalar_type() == at::kDouble) {
      perturb_f64(out.mutable_data_ptr<double>() + start, weight.const_data_ptr<double>() + start,
                  static_cast<const double*>(d), learning_rate, n);
    } else {
      float* to = out.mutable_data_ptr<float>() + start;
      const float* w = to;
      if (weight.scalar_type() == at::kBFloat16) widen(to, weight, start, n);
      else w = weight.const_data_ptr<float>() + start;
      perturb_f32(to, w, static_cast<const float*>(d), eta, n);
    }
  });
}

void negative_step(const at::Tensor& out, const Delta& delta, double learning_rate) {
  if (is_whole(delta)) return negative_step(out, in_parts(delta), learning_rate);
  CS_ON_CUDA(out, negative_step(out, delta, learning_rate));
  in_chunks(out.numel(), [&](int64_t start, int64_t n) {
    ChunkBuffer buffer;
    const auto* d = static_cast<const float*>(read(delta, start, n, buffer.data));
    step_bf16(bits_of(out) + start, d, static_cast<float>(learning_rate), n);
  });
}

void perturb_rows(const at::Tensor& rows, const at::Tensor& ids, const Delta& delta, double learning_rate) {
  if (is_whole(delta)) return perturb_rows(rows, ids, in_parts(delta), learning_rate);
  CS_ON_CUDA(rows, perturb_rows(rows, ids, delta, learning_rate));
  const int64_t width = rows.size(-1), count = ids.numel();
  const int64_t* id = ids.const_data_ptr<int64_t>();
  const auto each_row = [&](auto* values, auto eta, const auto& loop) {
    using T = std::remove_pointer_t<decltype(values)>;
    at::parallel_for(0, count, std::max<int64_t>(1, chunk_length / width), [&](int64_t begin, int64_t end) {
      ChunkBuffer buffer;
      for (int64_t i = begin; i < end; i++)
        for (int64_t start = 0; start < width; start += chunk_length) {
          const int64_t n = std::min(chunk_length, width - start);
          T* row = values + i * width + start;
          loop(row, row, static_cast<const T*>(read(delta, id[i] * width + start, n, buffer.data)), eta, n);
        }
    });
  };
  if (rows.scalar_type() == at::kDouble) each_row(rows.mutable_data_ptr<double>(), learning_rate, perturb_f64);
  else each_row(rows.mutable_data_ptr<float>(), static_cast<float>(learning_rate), perturb_f32);
}

}  // namespace critical_sharpness::kernels
