#include "parameter_view.hpp"

#include <ATen/ops/add.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/scaled_dot_product_attention.h>

#include "kernels/perturb.hpp"

namespace critical_sharpness {

at::Tensor ParameterView::linear(const at::Tensor& x, size_t weight, std::optional<size_t> bias, Storage storage) {
  const at::Tensor rows = x.to(compute_dtype_);
  const at::Tensor w = value(weight, compute_dtype_, Scratch::Slot::weight);
  const at::Tensor right = storage == Storage::out_in ? w.t() : w;
  if (!bias) return at::mm(rows, right);
  return at::addmm(value(*bias, compute_dtype_, Scratch::Slot::bias), rows, right);
}

at::Tensor ParameterView::layer_norm(const at::Tensor& x, size_t weight, size_t bias, double epsilon) {
  const at::Tensor w = value(weight, x.scalar_type(), Scratch::Slot::weight);
  const at::Tensor b = value(bias, x.scalar_type(), Scratch::Slot::bias);
  return at::layer_norm(x, w.sizes(), w, b, epsilon).to(compute_dtype_);
}

at::Tensor ParameterView::embed(const at::Tensor& ids, size_t tokens, size_t positions) {
  const at::Tensor places = embedding(at::arange(ids.size(1), at::kLong), positions);
  const at::Tensor rows = at::add(embedding(ids, tokens), places);
  return rows.reshape({ids.numel(), rows.size(2)});
}

at::Tensor ParameterView::attention(const at::Tensor& qkv, int64_t batch, int64_t length, int64_t heads) {
  const int64_t width = qkv.size(1) / 3;
  const auto parts = qkv.view({batch, length, 3, heads, width / heads}).unbind(2);
  const at::Tensor out = at::scaled_dot_product_attention(parts[0].transpose(1, 2), parts[1].transpose(1, 2),
                                                          parts[2].transpose(1, 2), {}, 0.0, /*is_causal=*/true);
  return out.transpose(1, 2).reshape({batch * length, width});
}

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
