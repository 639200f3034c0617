#include "stretches.hpp"

namespace critical_sharpness {

at::Tensor converted(const at::Tensor& tensor, const at::TensorOptions& options, const Cancellation& cancel) {
  const at::Tensor one = at::empty({0}, options);  // of the device's number, where `options` names none
  if (tensor.scalar_type() == one.scalar_type() && tensor.device() == one.device()) return tensor;
  return made_like(tensor, options, cancel, [&](at::Tensor& part, int64_t start, int64_t length) {
    part.copy_(stretch(tensor, start, length));
  });
}

at::Tensor copied(const at::Tensor& tensor, const Cancellation& cancel) {
  return made_like(tensor, tensor.options(), cancel, [&](at::Tensor& part, int64_t start, int64_t length) {
    part.copy_(stretch(tensor, start, length));
  });
}

at::Tensor zeros(at::IntArrayRef shape, const at::TensorOptions& options, const Cancellation& cancel) {
  at::Tensor out = at::empty(shape, options);
  in_stretches(out.numel(), cancel, [&](int64_t start, int64_t length) { stretch(out, start, length).zero_(); });
  return out;
}

}  // namespace critical_sharpness
