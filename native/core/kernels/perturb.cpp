#include "perturb.hpp"

#include <ATen/Parallel.h>
#include <c10/util/BFloat16.h>

#include <algorithm>
#include <cstring>

#include "chunks.hpp"

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

}  // namespace

void perturb(const at::Tensor& out, const at::Tensor& weight, const at::Tensor& direction, double learning_rate) {
  const bool moved = direction.defined();
  const bool rounds = out.scalar_type() == at::kBFloat16;
  if (!moved && !rounds) {
    out.copy_(weight);
    return;
  }
  at::parallel_for(0, weight.numel(), chunk_length, [&](int64_t begin, int64_t end) {
    const int64_t n = end - begin;
    if (rounds) {
      auto* to = reinterpret_cast<uint16_t*>(out.mutable_data_ptr<at::BFloat16>()) + begin;
      const float* w = weight.const_data_ptr<float>() + begin;
      if (moved) perturb_bf16(to, w, direction.const_data_ptr<float>() + begin, static_cast<float>(learning_rate), n);
      else round_bf16(to, w, n);
    } else if (weight.scalar_type() == at::kDouble) {
      perturb_f64(out.mutable_data_ptr<double>() + begin, weight.const_data_ptr<double>() + begin,
                  direction.const_data_ptr<double>() + begin, learning_rate, n);
    } else {
      perturb_f32(out.mutable_data_ptr<float>() + begin, weight.const_data_ptr<float>() + begin,
                  direction.const_data_ptr<float>() + begin, static_cast<float>(learning_rate), n);
    }
  });
}

void perturb_rows(const at::Tensor& rows, const at::Tensor& ids, const at::Tensor& direction, double learning_rate) {
  const int64_t width = direction.size(1), count = ids.numel();
  const int64_t* id = ids.const_data_ptr<int64_t>();
  const auto each_row = [&](auto* row, const auto* delta, auto eta, const auto& loop) {
    at::parallel_for(0, count, std::max<int64_t>(1, chunk_length / width), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i++) loop(row + i * width, row + i * width, delta + id[i] * width, eta, width);
    });
  };
  if (rows.scalar_type() == at::kDouble)
    each_row(rows.mutable_data_ptr<double>(), direction.const_data_ptr<double>(), learning_rate, perturb_f64);
  else
    each_row(rows.mutable_data_ptr<float>(), direction.const_data_ptr<float>(), static_cast<float>(learning_rate), perturb_f32);
}

}  // namespace critical_sharpness::kernels
