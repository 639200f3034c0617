#include "rotary.hpp"

#include <ATen/ops/empty.h>

#include "device.hpp"
#include "rows.hpp"

namespace critical_sharpness::kernels {
namespace {

template <class T>
CS_INLINE void rotate_head(const T* __restrict x, const T* __restrict c, const T* __restrict s, T* __restrict y, T sign,
                           int64_t pairs, int64_t size) {
  for (int64_t i = 0; i < pairs; i++) {
    const T a = x[i], b = x[i + pairs], sine = sign * s[i];
    y[i] = a * c[i] - b * sine;
    y[i + pairs] = b * c[i] + a * sine;
  }
  for (int64_t i = 2 * pairs; i < size; i++) y[i] = x[i];
}

CS_SIMD void rotate_loop(const float* x, const float* c, const float* s, float* y, float sign, int64_t pairs, int64_t size) {
  rotate_head(x, c, s, y, sign, pairs, size);
}
CS_SIMD void rotate_loop(const double* x, const double* c, const double* s, double* y, double sign, int64_t pairs,
                         int64_t size) {
  rotate_head(x, c, s, y, sign, pairs, size);
}

template <class T>
void run(const at::Tensor& x, const at::Tensor& cosines, const at::Tensor& sines, bool back, const at::Tensor& out) {
  const int64_t length = x.size(1), heads = x.size(2), size = x.size(3), pairs = cosines.size(1);
  const T *from = x.const_data_ptr<T>(), *c = cosines.const_data_ptr<T>(), *s = sines.const_data_ptr<T>();
  T* to = out.mutable_data_ptr<T>();
  at::parallel_for(0, x.size(0) * length, rows_at_once(heads * size), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; row++) {
      const int64_t place = row % length, at = row / length * x.stride(0) + place * x.stride(1);
      for (int64_t head = 0; head < heads; head++)
        rotate_loop(from + at + head * x.stride(2), c + place * pairs, s + place * pairs, to + (row * heads + head) * size,
                    back ? T(-1) : T(1), pairs, size);
    }
  });
}

}  // namespace

at::Tensor rotate(const at::Tensor& x, const at::Tensor& cosines, const at::Tensor& sines, bool back) {
  CS_ON_CUDA(x, rotate(x, cosines, sines, back));
  at::Tensor out = at::empty(x.sizes(), x.options());
  if (x.scalar_type() == at::kDouble) run<double>(x, cosines, sines, back, out);
  else run<float>(x, cosines, sines, back, out);
  return out;
}

}  // namespace critical_sharpness::kernels
