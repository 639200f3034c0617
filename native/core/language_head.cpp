#include "language_head.hpp"

#include <ATen/ops/_softmax.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/zeros.h>

#include "curvature/views.hpp"
#include "kernels/softmax.hpp"
#include "loss_heads.hpp"

namespace critical_sharpness {
namespace {

/// Logits that are held at once: 32 MiB of float32, on a GPU 256 MiB, since it takes many rows to keep one busy.
int64_t logits_at_once(const at::Tensor& features) { return features.is_cpu() ? 1 << 23 : 1 << 26; }

at::Tensor zero_sum(const at::Tensor& features) { return at::zeros({}, features.options().dtype(at::kDouble)); }

/// The cap of a chunk of logits, in place of them: tanh(z/cap), and its derivatives 1 − tanh² and −2·tanh·(1 − tanh²)/cap.
struct Cap {
  double cap;
  at::Tensor tanh;

  Cap(double cap, at::Tensor& logits) : cap(cap) {
    if (cap == 0) return;
    tanh = logits.div_(cap).tanh_();
    logits = at::mul(tanh, cap);
  }
  explicit operator bool() const { return cap != 0; }
  at::Tensor slope() const { return tanh.square().neg_().add_(1); }
  at::Tensor bend() const { return slope().mul_(tanh).mul_(-2 / cap); }
};

}  // namespace

at::Tensor LanguageHead::loss(ParameterView& view, const at::Tensor& features, const Batch& batch, HeadGradient* gradient,
                              const Cancellation& cancel) const {
  const Linear logits_of = view.open_linear(weight, bias);
  const at::Tensor targets = batch.targets().reshape({-1});
  const int64_t rows = features.size(0), chunk = std::max<int64_t>(128, logits_at_once(features) / vocabulary_size);
  if (gradient) gradient->features = at::empty_like(features);
  const at::Tensor sum = zero_sum(features);
  for (int64_t start = 0; start < rows; start += chunk) {
    cancel.check();
    const int64_t n = std::min(chunk, rows - start);
    const at::Tensor x = features.narrow(0, start, n), target = targets.narrow(0, start, n);
    at::Tensor logits = logits_of(x), d;
    const Cap capped(cap, logits);
    sum.add_(cross_entropy_sum(logits, target, gradient ? gradient->scale : 0, gradient ? &d : nullptr));
    if (!gradient) continue;
    if (capped) d.mul_(capped.slope());
    d = d.to(features.scalar_type());
    at::Tensor into = gradient->features.narrow(0, start, n);
    at::mm_out(into, d, logits_of.weight.t());
    if (!gradient->add) continue;
    gradient->add(weight, at::mm(d.t(), x));
    if (bias) gradient->add(*bias, d.sum(0));
  }
  return sum;
}

/// As `loss`, of z = xWᵀ + b and ż = ẋWᵀ + xẆᵀ + ḃ.
at::Tensor LanguageHead::tangent(curvature::TangentView& view, const at::Tensor& features, const at::Tensor& tangent,
                                 const Batch& batch, HeadCurvature& curvature, const Cancellation& cancel) const {
  const at::Tensor w = view.value(weight, view.compute_dtype()), &w_tangent = view.tangent(weight);
  const at::Tensor b = bias ? view.value(*bias, view.compute_dtype(), Scratch::Slot::bias) : at::Tensor();
  const at::Tensor b_tangent = bias ? view.tangent(*bias) : at::Tensor();
  const at::Tensor targets = batch.targets().reshape({-1});
  const int64_t rows = features.size(0), chunk = std::max<int64_t>(128, logits_at_once(features) / 2 / vocabulary_size);
  curvature.features = at::empty_like(features);
  const at::Tensor sum = zero_sum(features);
  for (int64_t start = 0; start < rows; start += chunk) {
    cancel.check();
    const auto part = [&](const at::Tensor& all) { return all.narrow(0, start, std::min(chunk, rows - start)); };
    const at::Tensor x = part(features), x_tangent = part(tangent);
    at::Tensor z = b.defined() ? at::addmm(b, x, w.t()) : at::mm(x, w.t()), z_tangent = at::mm(x_tangent, w.t());
    if (w_tangent.defined()) z_tangent.addmm_(x, w_tangent.t());
    if (b_tangent.defined()) z_tangent.add_(b_tangent);
    const Cap capped(cap, z);
    const at::Tensor p = at::_softmax(z, 1, false), bent = capped ? at::mul(z_tangent, capped.bend()) : at::Tensor();
    if (capped) z_tangent.mul_(capped.slope());
    sum.add_(kernels::cross_entropy_curvature(p, z_tangent, part(targets), curvature.scale));
    // Now p is the loss's gradient in z, and z_tangent the gradient of the loss's tangent.
    if (capped) {
      z_tangent.mul_(capped.slope());
      if (!curvature.gauss_newton) z_tangent.addcmul_(p, bent);
      p.mul_(capped.slope());
    }
    at::Tensor into = part(curvature.features), into_weight = at::mm(z_tangent.t(), x);
    at::mm_out(into, z_tangent, w);
    if (!curvature.gauss_newton) {
      if (w_tangent.defined()) into.addmm_(p, w_tangent);
      into_weight.addmm_(p.t(), x_tangent);
    }
    curvature.add(weight, into_weight);
    if (bias) curvature.add(*bias, z_tangent.sum(0));
  }
  return sum;
}

}  // namespace critical_sharpness
