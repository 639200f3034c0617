#include "parameter_vector.hpp"

#include <ATen/ops/empty.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/zeros.h>
#include <c10/util/accumulate.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "errors.hpp"
#include "kernels/reduce.hpp"

namespace critical_sharpness {

bool Layout::matches(const Layout& other) const {
  return dtype == other.dtype &&
         std::equal(parameters.begin(), parameters.end(), other.parameters.begin(), other.parameters.end(),
                    [](const ParameterSpec& a, const ParameterSpec& b) { return a.name == b.name && a.shape == b.shape; });
}

void require_same_layout(const Layout& expected, const Layout& received, const char* what) {
  if (&expected == &received || expected.matches(received)) return;
  auto describe = [](const Layout& l) {
    return std::to_string(l.size()) + " parameters in " + (l.dtype == at::kDouble ? "float64" : "float32");
  };
  for (size_t i = 0; i < std::min(expected.size(), received.size()); i++) {
    const auto &a = expected.parameters[i], &b = received.parameters[i];
    if (a.name != b.name || a.shape != b.shape)
      reject_mismatch("Expected the parameters of the same model for " + std::string(what) +
                      " but received one that differs at \"" + b.name + "\" (the model has \"" + a.name + "\")");
  }
  reject_mismatch("Expected " + describe(expected) + " for " + what + " but received " + describe(received));
}

ParameterVector::ParameterVector(std::shared_ptr<const Layout> layout, std::vector<at::Tensor> tensors)
    : layout_(std::move(layout)), tensors_(std::move(tensors)) {
  TORCH_INTERNAL_ASSERT(tensors_.size() == layout_->size());
}

ParameterVector ParameterVector::empty(std::shared_ptr<const Layout> layout) {
  std::vector<at::Tensor> tensors;
  for (const auto& p : layout->parameters) tensors.push_back(at::empty(p.shape, layout->dtype));
  return {std::move(layout), std::move(tensors)};
}

ParameterVector ParameterVector::zeros(std::shared_ptr<const Layout> layout) {
  std::vector<at::Tensor> tensors;
  for (const auto& p : layout->parameters) tensors.push_back(at::zeros(p.shape, layout->dtype));
  return {std::move(layout), std::move(tensors)};
}

int64_t ParameterVector::byte_length() const {
  int64_t bytes = 0;
  for (const auto& t : tensors_)
    if (t.defined()) bytes += static_cast<int64_t>(t.nbytes());
  return bytes;
}

double ParameterVector::dot(const ParameterVector& other) const {
  require_same_layout(*layout_, *other.layout_, "the other direction");
  return kernels::dot(tensors_, other.tensors_);
}

double ParameterVector::norm() const { return std::sqrt(kernels::dot(tensors_, tensors_)); }

ParameterVector ParameterVector::scaled(double k) const {
  std::vector<at::Tensor> tensors;
  for (const auto& t : tensors_) tensors.push_back(t.defined() ? at::mul(t, k) : t);
  return {layout_, std::move(tensors)};
}

ParameterVector ParameterVector::masked(const std::vector<bool>& keep) const {
  std::vector<at::Tensor> tensors(tensors_.size());
  for (size_t i = 0; i < tensors_.size(); i++)
    if (keep.at(i)) tensors[i] = tensors_[i];
  return {layout_, std::move(tensors)};
}

ParameterVector ParameterVector::clone() const {
  std::vector<at::Tensor> tensors;
  for (const auto& t : tensors_) tensors.push_back(t.defined() ? t.clone() : t);
  return {layout_, std::move(tensors)};
}

std::vector<uint8_t> read_bytes(const at::Tensor& tensor, const ParameterSpec& spec, at::ScalarType dtype, int64_t offset,
                                int64_t length) {
  const int64_t total = c10::multiply_integers(spec.shape) * static_cast<int64_t>(c10::elementSize(dtype));
  const int64_t start = std::clamp<int64_t>(offset, 0, total);
  std::vector<uint8_t> bytes(static_cast<size_t>(std::clamp<int64_t>(length, 0, total - start)), 0);
  if (tensor.defined() && !bytes.empty())
    std::memcpy(bytes.data(), static_cast<const uint8_t*>(tensor.const_data_ptr()) + start, bytes.size());
  return bytes;
}

}  // namespace critical_sharpness
