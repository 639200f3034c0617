#include "scratch.hpp"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <c10/util/accumulate.h>

namespace critical_sharpness {

at::Tensor Scratch::take(Slot slot, at::IntArrayRef shape, at::ScalarType dtype) {
  at::Tensor& buffer = buffers_[static_cast<size_t>(slot)];
  const int64_t bytes = c10::multiply_integers(shape) * static_cast<int64_t>(c10::elementSize(dtype));
  TORCH_INTERNAL_ASSERT(bytes <= capacity_[static_cast<size_t>(slot)]);
  if (!buffer.defined()) buffer = at::empty({capacity_[static_cast<size_t>(slot)]}, at::TensorOptions(at::kByte).device(device_));
  return at::for_blob(buffer.data_ptr(), shape).options(at::TensorOptions(dtype).device(device_)).target_device(device_).make_tensor();
}

}  // namespace critical_sharpness
