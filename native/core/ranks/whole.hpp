#pragma once
#include <ATen/core/Tensor.h>

#include <memory>
#include <vector>

#include "layout.hpp"

namespace critical_sharpness {

/// A layout of the same parameters that one process has all of.
std::shared_ptr<const Layout> whole_layout(const Layout& layout);

/// Whole tensors of what the ranks of a layout keep, on every rank, which all call this. Undefined ones stay so: they are the same
/// everywhere. What is whole already is shared with `here`.
std::vector<at::Tensor> whole_tensors(const Layout& layout, const std::vector<at::Tensor>& here);

}  // namespace critical_sharpness
