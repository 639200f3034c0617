#include "delta_at.cuh"
#include "kernels.hpp"
#include "sums.cuh"

namespace critical_sharpness::cuda {
namespace {

template <class T>
struct Product {
  DeltaAt<T> a, b;
  __device__ double operator()(int64_t i) const { return static_cast<double>(a(i)) * static_cast<double>(b(i)); }
};

}  // namespace

at::Tensor dots(const std::vector<Delta>& a, const std::vector<Delta>& b) {
  const Delta* any = nullptr;
  std::vector<int64_t> lengths;
  for (size_t i = 0; i < a.size(); i++) {
    const bool both = !kernels::is_zero(a[i]) && !kernels::is_zero(b[i]);
    lengths.push_back(both ? kernels::like(a[i]).numel() : 0);
    if (both) any = &a[i];
  }
  TORCH_INTERNAL_ASSERT(any);
  const at::Tensor& first = kernels::like(*any);
  return with_type(first.scalar_type(), [&](auto type) {
    std::vector<Product<decltype(type)>> products;
    for (size_t i = 0; i < a.size(); i++) {
      if (lengths[i] > 0) products.push_back({DeltaAt<decltype(type)>(a[i]), DeltaAt<decltype(type)>(b[i])});
      else products.emplace_back();
    }
    return sums_of(products, lengths, first.options());
  });
}

}  // namespace critical_sharpness::cuda
