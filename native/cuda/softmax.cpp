#include <ATen/TensorOperators.h>

#include "batch.hpp"
#include "kernels.hpp"

namespace critical_sharpness::cuda {
namespace {

at::Tensor row_sum(const at::Tensor& rows) { return rows.sum(at::IntArrayRef{-1}, /*keepdim=*/true); }

}  // namespace

void softmax_tangent(const at::Tensor& p, const at::Tensor& tangent) { tangent.sub_(row_sum(p * tangent)).mul_(p); }

void softmax_backward(const at::Tensor& p, const at::Tensor& tangent, const at::Tensor& into_values,
                      const at::Tensor& into_tangent) {
  const at::Tensor centered = tangent - row_sum(p * tangent), mean = row_sum(p * into_tangent);
  into_values.addcmul_(into_tangent, centered).sub_(tangent * mean);
  into_values.sub_(row_sum(p * into_values)).mul_(p);
  into_tangent.sub_(mean).mul_(p);
  tangent.copy_(centered).mul_(p);
}

at::Tensor cross_entropy_curvature(const at::Tensor& p, const at::Tensor& tangent, const at::Tensor& targets, double scale) {
  const at::Tensor counts = targets.ne(Batch::ignored).unsqueeze(1).to(p.scalar_type());
  const at::Tensor target = targets.clamp_min(0).unsqueeze(1);
  const at::Tensor mean = row_sum(p * tangent);
  at::Tensor slope = ((mean - tangent.gather(1, target)) * counts).sum(at::kDouble);
  tangent.sub_(mean).mul_(p).mul_(counts * scale);
  p.mul_(counts * scale).scatter_add_(1, target, counts * -scale);
  return slope;
}

}  // namespace critical_sharpness::cuda
