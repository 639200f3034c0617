#include "scratch.hpp"

#include <ATen/ops/empty.h>
#include <c10/core/InferenceMode.h>
#include <c10/util/accumulate.h>

namespace critical_sharpness {

at::Tensor Scratch::take(at::IntArrayRef shape, at::ScalarType dtype, bool together) {
  const c10::InferenceMode off(false);  // whoever comes next may be differentiated
  const int64_t bytes = c10::multiply_integers(shape) * static_cast<int64_t>(c10::elementSize(dtype));
  const int64_t most = bytes <= largest_vector_ ? largest_vector_ : largest_;
  TORCH_INTERNAL_ASSERT(bytes <= most);
  const auto size_of = [](const c10::Storage& buffer) { return static_cast<int64_t>(buffer.nbytes()); };
  const c10::Storage* found = nullptr;
  for (const auto& buffer : buffers_) {
    const bool fits = size_of(buffer) >= bytes && (!together || size_of(buffer) <= 2 * bytes);
    if (fits && buffer.use_count() == 1 && (!found || size_of(buffer) < size_of(*found))) found = &buffer;
  }
  if (!found) {
    const at::Tensor fresh = at::empty({together ? bytes : most}, at::TensorOptions(at::kByte).device(device_));
    found = &buffers_.emplace_back(fresh.storage());
  }
  at::Tensor tensor = at::empty({0}, at::TensorOptions(dtype).device(device_));
  tensor.unsafeGetTensorImpl()->set_storage_keep_dtype(*found);
  tensor.unsafeGetTensorImpl()->set_sizes_contiguous(shape);
  return tensor;
}

}  // namespace critical_sharpness
