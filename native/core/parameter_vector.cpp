#include "parameter_vector.hpp"

#include <ATen/ScalarOps.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mul.h>

#include "stretches.hpp"

namespace critical_sharpness {

ParameterVector::ParameterVector(std::shared_ptr<const Layout> layout, std::vector<at::Tensor> tensors)
    : layout_(std::move(layout)), tensors_(std::move(tensors)) {
  TORCH_INTERNAL_ASSERT(tensors_.size() == layout_->size());
}

ParameterVector ParameterVector::empty(std::shared_ptr<const Layout> layout) {
  std::vector<at::Tensor> tensors(layout->size());
  for (size_t i = 0; i < tensors.size(); i++)
    if (layout->is_trainable(i)) tensors[i] = at::empty(layout->local_shape(i), layout->options());
  return {std::move(layout), std::move(tensors)};
}

ParameterVector ParameterVector::zeros(std::shared_ptr<const Layout> layout, const Cancellation& cancel) {
  std::vector<at::Tensor> tensors(layout->size());
  for (size_t i = 0; i < tensors.size(); i++)
    if (layout->is_trainable(i)) tensors[i] = critical_sharpness::zeros(layout->local_shape(i), layout->options(), cancel);
  return {std::move(layout), std::move(tensors)};
}

kernels::Delta ParameterVector::delta(size_t parameter) const {
  return has(parameter) ? kernels::Delta(kernels::StoredDelta{tensors_[parameter]}) : kernels::Delta();
}

int64_t ParameterVector::byte_length() const {
  int64_t bytes = 0;
  for (const auto& t : tensors_)
    if (t.defined()) bytes += static_cast<int64_t>(t.nbytes());
  return bytes;
}

ParameterVector ParameterVector::scaled(double k, const Cancellation& cancel) const {
  std::vector<at::Tensor> tensors;
  const at::Tensor factor = at::native::wrapped_scalar_tensor(k);
  for (const auto& t : tensors_)
    tensors.push_back(!t.defined() ? t : made_like(t, t.options(), cancel, [&](at::Tensor& part, int64_t start, int64_t length) {
      at::mul_out(part, stretch(t, start, length), factor);
    }));
  return {layout_, std::move(tensors)};
}

std::shared_ptr<const Direction> ParameterVector::masked(const std::vector<bool>& keep) const {
  std::vector<at::Tensor> tensors(tensors_.size());
  for (size_t i = 0; i < tensors_.size(); i++)
    if (keep.at(i)) tensors[i] = tensors_[i];
  return std::make_shared<ParameterVector>(layout_, std::move(tensors));
}

ParameterVector ParameterVector::clone(const Cancellation& cancel) const {
  std::vector<at::Tensor> tensors;
  for (const auto& t : tensors_) tensors.push_back(t.defined() ? copied(t, cancel) : t);
  return {layout_, std::move(tensors)};
}

}  // namespace critical_sharpness
