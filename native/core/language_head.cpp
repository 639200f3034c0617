#include "language_head.hpp"

#include <ATen/ops/addmm.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/zeros.h>

#include "curvature/views.hpp"
#include "objective/terms.hpp"

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

/// Calls body(part) for chunks of so many rows: `part` is a function that gives a tensor's rows of the chunk; undefined: itself.
template <class Body>
void in_chunks(int64_t rows, int64_t chunk, const Cancellation& cancel, const Body& body) {
  for (int64_t start = 0; start < rows; start += chunk) {
    cancel.check();
    const int64_t length = std::min(chunk, rows - start);
    body([start, length](const at::Tensor& all) { return all.defined() ? all.narrow(0, start, length) : all; });
  }
}

}  // namespace

at::Tensor LanguageHead::loss(ParameterView& view, const at::Tensor& features, const Batch& batch, HeadGradient* gradient,
                              const Cancellation& cancel) const {
  const Linear logits_of = view.open_linear(weight, bias);
  const at::Tensor targets = batch.targets().reshape({-1});
  const int64_t rows = features.size(0), chunk = std::max<int64_t>(128, logits_at_once(features) / vocabulary_size);

  const Objective* objective = batch.objective();
  at::Tensor weights, terms;
  if (objective) {
    if (!objective->is_linear()) {
      std::vector<at::Tensor> parts;
      in_chunks(rows, chunk, cancel, [&](const auto& part) {
        at::Tensor logits = logits_of(part(features));
        const Cap capped(cap, logits);
        parts.push_back(terms_of(Loss::cross_entropy, logits, part(targets)));
      });
      terms = at::cat(parts);
      if (!gradient) return objective->value(terms);
    }
    weights = objective->weights(terms);
  }

  if (gradient) gradient->features = at::empty_like(features);
  const bool adds = gradient && gradient->add, to_weight = adds && gradient->wanted(weight), to_bias = adds && bias && gradient->wanted(*bias);
  const at::Tensor sum = zero_sum(features);
  in_chunks(rows, chunk, cancel, [&](const auto& part) {
    const at::Tensor x = part(features);
    at::Tensor logits = logits_of(x), d;
    const Cap capped(cap, logits);
    sum.add_(weighted_sum(Loss::cross_entropy, logits, part(targets), part(weights), gradient ? gradient->scale : 0,
                          gradient ? &d : nullptr));
    if (!gradient) return;
    if (capped) d.mul_(capped.slope());
    d = d.to(features.scalar_type());
    at::Tensor into = part(gradient->features);
    at::mm_out(into, d, logits_of.weight.t());
    if (to_weight) gradient->add(weight, at::mm(d.t(), x));
    if (to_bias) gradient->add(*bias, d.sum(0));
  });
  return terms.defined() ? objective->value(terms) : sum;
}

/// As `loss`, of z = xWᵀ + b and ż = ẋWᵀ + xẆᵀ + ḃ.
at::Tensor LanguageHead::tangent(curvature::TangentView& view, const at::Tensor& features, const at::Tensor& tangent,
                                 const Batch& batch, HeadCurvature& curvature, const Cancellation& cancel) const {
  const at::Tensor w = view.value(weight, view.compute_dtype()), &w_tangent = view.tangent(weight);
  const at::Tensor b = bias ? view.value(*bias, view.compute_dtype()) : at::Tensor();
  const at::Tensor b_tangent = bias ? view.tangent(*bias) : at::Tensor();
  const at::Tensor targets = batch.targets().reshape({-1});
  const int64_t rows = features.size(0), chunk = std::max<int64_t>(128, logits_at_once(features) / 2 / vocabulary_size);

  struct Logits {
    at::Tensor z, tangent, bent;  // the last: the cap's second derivative in place of the tangent; undefined: none
    Cap cap;
  };
  const auto logits_of = [&](const at::Tensor& x, const at::Tensor& x_tangent) {
    at::Tensor z = b.defined() ? at::addmm(b, x, w.t()) : at::mm(x, w.t()), z_tangent = at::mm(x_tangent, w.t());
    if (w_tangent.defined()) z_tangent.addmm_(x, w_tangent.t());
    if (b_tangent.defined()) z_tangent.add_(b_tangent);
    const Cap capped(cap, z);
    const at::Tensor bent = capped ? at::mul(z_tangent, capped.bend()) : at::Tensor();
    if (capped) z_tangent.mul_(capped.slope());
    return Logits{z, z_tangent, bent, capped};
  };

  const Objective* objective = batch.objective();
  at::Tensor weights, weights_tangent;
  if (objective) {
    at::Tensor terms, tangents;
    if (!objective->is_linear()) {
      std::vector<at::Tensor> of_terms, of_tangents;
      in_chunks(rows, chunk, cancel, [&](const auto& part) {
        const Logits logits = logits_of(part(features), part(tangent));
        of_terms.push_back(terms_of(Loss::cross_entropy, logits.z, part(targets)));
        of_tangents.push_back(terms_tangent(Loss::cross_entropy, logits.z, logits.tangent, part(targets)));
      });
      terms = at::cat(of_terms);
      tangents = at::cat(of_tangents);
    }
    weights = objective->weights(terms);
    weights_tangent = objective->weights_tangent(terms, tangents);
  }

  curvature.features = at::empty_like(features);
  const at::Tensor sum = zero_sum(features);
  in_chunks(rows, chunk, cancel, [&](const auto& part) {
    const at::Tensor x = part(features), x_tangent = part(tangent);
    const Logits logits = logits_of(x, x_tangent);
    // g is the loss's gradient in z, and h the gradient of the loss's tangent.
    const LossTangent made = tangent_of(Loss::cross_entropy, logits.z, logits.tangent, part(targets), part(weights),
                                        part(weights_tangent), curvature.scale);
    const at::Tensor &g = made.gradient, &h = made.of_gradient;
    sum.add_(made.sum);
    if (logits.cap) {
      h.mul_(logits.cap.slope());
      if (!curvature.gauss_newton) h.addcmul_(g, logits.bent);
      g.mul_(logits.cap.slope());
    }
    at::Tensor into = part(curvature.features), into_weight = at::mm(h.t(), x);
    at::mm_out(into, h, w);
    if (!curvature.gauss_newton) {
      if (w_tangent.defined()) into.addmm_(g, w_tangent);
      into_weight.addmm_(g.t(), x_tangent);
    }
    curvature.add(weight, into_weight);
    if (bias) curvature.add(*bias, h.sum(0));
  });
  return sum;
}

}  // namespace critical_sharpness
