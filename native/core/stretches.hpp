#pragma once
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

#include <algorithm>

#include "cancellation.hpp"

namespace critical_sharpness {

/// Numbers of a tensor between two looks at a cancellation: tens of milliseconds of the slowest work, drawing them.
inline constexpr int64_t stretch_length = 1 << 22;

/// Calls body(start, length) for the stretches of `count` numbers, one after the other. Throws Cancelled between them. The last
/// is a whole one and what remains, so that none is short; no number's result may depend on where a stretch ends.
template <class Body>
void in_stretches(int64_t count, const Cancellation& cancel, const Body& body) {
  const int64_t stretches = std::max<int64_t>(1, count / stretch_length);
  for (int64_t k = 0; k < stretches; k++) {
    cancel.check();
    const int64_t start = k * stretch_length;
    body(start, k + 1 == stretches ? count - start : stretch_length);
  }
}

/// `length` numbers of a contiguous tensor from `start`, in its memory.
inline at::Tensor stretch(const at::Tensor& tensor, int64_t start, int64_t length) {
  return tensor.view({-1}).narrow(0, start, length);
}

/// A new tensor of a contiguous one's shape; make(out, start, length) fills a stretch of it.
template <class Make>
at::Tensor made_like(const at::Tensor& tensor, const at::TensorOptions& options, const Cancellation& cancel, const Make& make) {
  at::Tensor out = at::empty(tensor.sizes(), options);
  in_stretches(tensor.numel(), cancel, [&](int64_t start, int64_t length) {
    at::Tensor part = stretch(out, start, length);
    make(part, start, length);
  });
  return out;
}

/// A tensor of its own with these options and the same numbers. The tensor itself, where that is asked for already.
at::Tensor converted(const at::Tensor& tensor, const at::TensorOptions& options, const Cancellation& cancel);
/// A contiguous copy.
at::Tensor copied(const at::Tensor& tensor, const Cancellation& cancel);
at::Tensor zeros(at::IntArrayRef shape, const at::TensorOptions& options, const Cancellation& cancel);

}  // namespace critical_sharpness
