#include "rotary.hpp"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cos.h>
#include <ATen/ops/outer.h>
#include <ATen/ops/sin.h>
#include <ATen/ops/tensor.h>

#include "kernels/rotary.hpp"
#include "record.hpp"

namespace critical_sharpness {

RotaryTable rotary_table(const std::vector<double>& frequencies, double scale, int64_t length, at::TensorOptions options) {
  if (frequencies.empty()) return {};
  const at::Tensor angles = at::outer(at::arange(length, at::kDouble), at::tensor(frequencies, at::kDouble));
  const auto finish = [&](at::Tensor table) { return table.mul_(scale).to(options, /*non_blocking=*/true); };
  return {finish(at::cos(angles)), finish(at::sin(angles))};
}

at::Tensor rotate(const at::Tensor& x, const RotaryTable& table) {
  if (!table.cosines.defined()) return x;
  at::Tensor wide = x.to(table.cosines.scalar_type());
  if (wide.stride(-1) != 1) wide = wide.contiguous();
  if (!wide.requires_grad()) return kernels::rotate(wide, table.cosines, table.sines, false).to(x.scalar_type());
  const at::Tensor out = [&] {
    const at::NoGradGuard no_gradient;
    return kernels::rotate(wide.detach(), table.cosines, table.sines, false);
  }();
  const auto backward = [table](const at::Tensor& gradient) {
    return std::vector{kernels::rotate(gradient, table.cosines, table.sines, true)};
  };
  return record({wide}, out, backward).to(x.scalar_type());
}

}  // namespace critical_sharpness
