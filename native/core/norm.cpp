#include "norm.hpp"

#include <ATen/core/grad_mode.h>

#include "kernels/norm.hpp"
#include "record.hpp"

namespace critical_sharpness {

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon) {
  const at::Tensor rows = x.reshape({-1, x.size(-1)}).contiguous();
  const bool weighted = weight.defined();
  if (!rows.requires_grad() && !(weighted && weight.requires_grad()))
    return kernels::norm(rows, weight, {}, epsilon, false).output.view(x.sizes());
  const at::Tensor fixed = weighted ? weight.detach() : weight;
  const auto made = [&] {
    const at::NoGradGuard no_gradient;
    return kernels::norm(rows.detach(), fixed, {}, epsilon, false);
  }();
  std::vector<at::Tensor> inputs{rows};
  const bool moves = weighted && weight.requires_grad();
  if (moves) inputs.push_back(weight);
  const auto backward = [fixed, moves, normalized = made.normalized, scale = made.scale](const at::Tensor& gradient) {
    if (!moves) return std::vector{kernels::norm_gradient(gradient, normalized, scale, fixed, false)};
    const auto into = kernels::norm_gradients(gradient, normalized, scale, fixed, false);
    return std::vector{into.input, into.weight};
  };
  return record(inputs, made.output, backward).view(x.sizes());
}

}  // namespace critical_sharpness
