#pragma once
#include <ATen/core/Tensor.h>

#include <memory>
#include <vector>

#include "cancellation.hpp"
#include "direction.hpp"
#include "layout.hpp"

namespace critical_sharpness {

/// One tensor for each parameter of a layout, or what is kept of it here: a gradient, a direction, a diagonal. An undefined tensor means zeros.
/// The tensors are contiguous, of the layout's dtype, and never written to once the vector is made.
class ParameterVector final : public Direction {
 public:
  ParameterVector(std::shared_ptr<const Layout> layout, std::vector<at::Tensor> tensors);
  /// Uninitialised tensors of the layout's local shapes.
  static ParameterVector empty(std::shared_ptr<const Layout> layout);
  static ParameterVector zeros(std::shared_ptr<const Layout> layout, const Cancellation& cancel = {});

  const std::shared_ptr<const Layout>& layout() const override { return layout_; }
  const std::vector<at::Tensor>& tensors() const { return tensors_; }
  const at::Tensor& operator[](size_t index) const { return tensors_[index]; }
  size_t size() const { return tensors_.size(); }

  bool has(size_t parameter) const override { return tensors_[parameter].defined(); }
  kernels::Delta delta(size_t parameter) const override;
  const ParameterVector* as_stored() const override { return this; }
  /// Shares the kept tensors.
  std::shared_ptr<const Direction> masked(const std::vector<bool>& keep) const override;
  int64_t byte_length() const override;

  ParameterVector scaled(double k, const Cancellation& cancel = {}) const;
  ParameterVector clone(const Cancellation& cancel = {}) const;

 private:
  std::shared_ptr<const Layout> layout_;
  std::vector<at::Tensor> tensors_;
};

}  // namespace critical_sharpness
