#include "parameter_view.hpp"

#include <ATen/ops/add.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/clamp.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/mul.h>

#include "kernels/perturb.hpp"

namespace critical_sharpness {

at::Tensor ParameterView::linear(const at::Tensor& x, size_t weight, std::optional<size_t> bias, Storage storage) {
  const at::Tensor rows = x.to(compute_dtype_);
  const at::Tensor w = value(weight, compute_dtype_, Scratch::Slot::weight);
  const at::Tensor right = storage == Storage::out_in ? w.t() : w;
  if (!bias) return at::mm(rows, right);
  return at::addmm(value(*bias, compute_dtype_, Scratch::Slot::bias), rows, right);
}

at::Tensor ParameterView::norm(const at::Tensor& x, const Norm& norm) {
  const at::Tensor wide = x.scalar_type() == at::kBFloat16 ? x.to(at::kFloat) : x;
  const auto read = [&](std::optional<size_t> index, Scratch::Slot slot) {
    return index ? value(*index, wide.scalar_type(), slot) : at::Tensor();
  };
  at::Tensor w = read(norm.weight, Scratch::Slot::weight);
  if (norm.weight_from_one) w = at::add(w, 1);
  if (norm.kind == Norm::Kind::rms) return rms_norm(wide, w, norm.epsilon).to(compute_dtype_);
  return at::layer_norm(wide, {wide.size(-1)}, w, read(norm.bias, Scratch::Slot::bias), norm.epsilon).to(compute_dtype_);
}

at::Tensor ParameterView::embed(const at::Tensor& ids, size_t tokens, std::optional<size_t> positions) {
  at::Tensor rows = embedding(ids, tokens);
  if (positions) rows = at::add(rows, embedding(at::arange(ids.size(1), at::kLong), *positions));
  return rows.reshape({ids.numel(), rows.size(2)});
}

at::Tensor ParameterView::gate(const at::Tensor& g, const at::Tensor& x, Activation kind) {
  at::Tensor activated = activate(g, kind);
  return activated.requires_grad() || x.requires_grad() ? at::mul(activated, x) : activated.mul_(x);
}

at::Tensor ParameterView::clamp(const at::Tensor& x, double bound) { return at::clamp(x, -bound, bound); }

at::Tensor PlainView::value(size_t index, at::ScalarType dtype, Scratch::Slot slot) {
  const at::Tensor& weight = weights_[index];
  if (weight.scalar_type() == dtype) return weight;
  at::Tensor rounded = scratch_.take(slot, weight.sizes(), dtype);
  kernels::perturb(rounded, weight, {}, 0);
  return rounded;
}

at::Tensor PlainView::embedding(const at::Tensor& ids, size_t weight) { return at::embedding(weights_[weight], ids); }

at::Tensor PerturbedView::value(size_t index, at::ScalarType dtype, Scratch::Slot slot) {
  const at::Tensor& weight = weights_[index];
  const at::Tensor& delta = direction_[index];
  if (!delta.defined() && weight.scalar_type() == dtype) return weight;
  at::Tensor moved = scratch_.take(slot, weight.sizes(), dtype);
  kernels::perturb(moved, weight, delta, learning_rate_);
  return moved;
}

at::Tensor PerturbedView::embedding(const at::Tensor& ids, size_t weight) {
  at::Tensor rows = at::embedding(weights_[weight], ids);
  const at::Tensor& delta = direction_[weight];
  if (delta.defined()) kernels::perturb_rows(rows, ids.contiguous(), delta, learning_rate_);
  return rows;
}

at::Tensor DifferentiableView::value(size_t index, at::ScalarType dtype, Scratch::Slot) { return leaves_[index].to(dtype); }

at::Tensor DifferentiableView::embedding(const at::Tensor& ids, size_t weight) {
  return at::embedding(leaves_[weight], ids);
}

}  // namespace critical_sharpness
