#include "parameter_view.hpp"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/add.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/clamp.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/embedding_dense_backward.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/autograd.h>

#include "kernels/perturb.hpp"
#include "record.hpp"

namespace critical_sharpness {

at::Tensor Linear::operator()(const at::Tensor& x) const {
  const at::Tensor rows = x.to(weight.scalar_type());
  // Thin products are several times faster with the long axis last.
  if (!wide && down.defined()) {
    at::Tensor inner = at::ones({up.size(0), rows.size(0)}, rows.options());
    at::Tensor product = inner.narrow(0, 0, down.size(0));
    at::mm_out(product, down, rows.t());
    return at::mm(inner.t(), up).addmm_(rows, weight);
  }
  if (!wide) return bias.defined() ? at::addmm(bias, rows, weight) : at::mm(rows, weight);
  at::Tensor y = at::mm(rows, weight).to(at::kFloat);
  if (step.defined()) y = at::add(y, at::mm(rows, step));
  if (down.defined()) y.addmm_(at::mm(down.to(rows.scalar_type()), rows.t()).t().to(at::kFloat), up);
  return bias.defined() ? at::add(y, bias) : y;
}

void add_low_rank_step(Linear& map, const kernels::LowRank& factors, double learning_rate, WeightStorage storage) {
  const bool out_in = storage == WeightStorage::out_in;
  map.down = (out_in ? factors.right : factors.left.t()).contiguous();
  map.up = (out_in ? factors.left.t() : factors.right).mul(-learning_rate * factors.scale);
  if (map.bias.defined() && !map.wide) map.up = at::cat({map.up, map.bias.unsqueeze(0)});
}

void add_low_rank_rows(const at::Tensor& rows, const at::Tensor& ids, const kernels::LowRank& factors, double learning_rate) {
  const at::Tensor left = at::embedding(factors.left, ids.reshape({-1}));
  rows.view({-1, rows.size(-1)}).addmm_(left, factors.right, 1, -learning_rate * factors.scale);
}

Linear ParameterView::open_linear(size_t weight, std::optional<size_t> bias, Storage storage) {
  Linear map{oriented(value(weight, compute_dtype_), storage), {}, wide_, {}, {}, {}};
  if (bias) map.bias = value(*bias, wide_ ? at::kFloat : compute_dtype_);
  return map;
}

at::Tensor ParameterView::linear(const at::Tensor& x, size_t weight, std::optional<size_t> bias, Storage storage) {
  return open_linear(weight, bias, storage)(x);
}

at::Tensor ParameterView::attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Attention& how) {
  return attend(q.to(compute_dtype_), k.to(compute_dtype_), v.to(compute_dtype_), how);
}

at::Tensor ParameterView::norm(const at::Tensor& x, const Norm& norm) {
  const at::Tensor wide = x.scalar_type() == at::kBFloat16 ? x.to(at::kFloat) : x;
  const auto read = [&](std::optional<size_t> index) { return index ? value(*index, wide.scalar_type()) : at::Tensor(); };
  at::Tensor w = read(norm.weight);
  if (norm.weight_from_one) w = at::add(w, 1);
  if (norm.kind == Norm::Kind::rms) return rms_norm(wide, w, norm.epsilon).to(compute_dtype_);
  return at::layer_norm(wide, {wide.size(-1)}, w, read(norm.bias), norm.epsilon).to(compute_dtype_);
}

at::Tensor ParameterView::embed(const at::Tensor& ids, size_t tokens, std::optional<size_t> positions, int64_t padding) {
  at::Tensor rows = embedding_but(padding, ids, tokens);
  if (positions) rows = at::add(rows, embedding(at::arange(ids.size(1), ids.options()), *positions));
  return rows.reshape({ids.numel(), rows.size(2)});
}

at::Tensor ParameterView::gate(const at::Tensor& g, const at::Tensor& x, Activation kind) {
  at::Tensor activated = activate(g, kind);
  return activated.requires_grad() || x.requires_grad() ? at::mul(activated, x) : activated.mul_(x);
}

Routing ParameterView::route(const at::Tensor& logits, const Router& router) {
  Routing routing = critical_sharpness::route(logits, router);
  if (choices_) choices_->push_back(routing.experts);
  return routing;
}

at::Tensor ParameterView::combine(const at::Tensor& weights, const at::Tensor& rows, const Dispatch& dispatch) {
  return critical_sharpness::combine(weights, rows, dispatch);
}

at::Tensor ParameterView::clamp(const at::Tensor& x, double bound) { return at::clamp(x, -bound, bound); }

namespace {

/// Rows of an embedding, bfloat16 ones as float32.
at::Tensor gather(const at::Tensor& weight, const at::Tensor& ids) {
  const at::Tensor rows = at::embedding(weight, ids);
  return rows.scalar_type() == at::kBFloat16 ? rows.to(at::kFloat) : rows;
}

}  // namespace

void ScratchView::share(bool on) {
  shares_ = on;
  shared_.clear();
}

template <class Fill>
at::Tensor ScratchView::made(size_t index, at::ScalarType dtype, What what, const Fill& fill) {
  const auto make = [&] {
    at::Tensor out = scratch_.take(weights_[index].sizes(), dtype, shares_);
    fill(out);
    return out;
  };
  if (!shares_) return make();
  at::Tensor& kept = shared_[{index, dtype, what}];
  if (!kept.defined()) kept = make();
  return kept;
}

at::Tensor PlainView::value(size_t index, at::ScalarType dtype) {
  if (weight(index).scalar_type() == dtype) return weight(index);
  return made(index, dtype, What::weight, [&](const at::Tensor& out) { kernels::perturb(out, weight(index), {}, 0); });
}

at::Tensor PlainView::embedding(const at::Tensor& ids, size_t index) { return gather(weight(index), ids); }

at::Tensor PerturbedView::value(size_t index, at::ScalarType dtype) {
  const kernels::Delta delta = direction_.delta(index);
  if (kernels::is_zero(delta) && weight(index).scalar_type() == dtype) return weight(index);
  TORCH_INTERNAL_ASSERT(kernels::is_zero(delta) || weight(index).scalar_type() != at::kBFloat16 || dtype == at::kFloat);
  return made(index, dtype, What::weight,
              [&](const at::Tensor& out) { kernels::perturb(out, weight(index), delta, learning_rate_); });
}

at::Tensor PerturbedView::embedding(const at::Tensor& ids, size_t index) {
  at::Tensor rows = gather(weight(index), ids);
  const kernels::Delta delta = direction_.delta(index);
  if (const kernels::LowRank* factors = kernels::low_rank(delta)) add_low_rank_rows(rows, ids, *factors, learning_rate_);
  else if (!kernels::is_zero(delta)) kernels::perturb_rows(rows, ids.contiguous(), delta, learning_rate_);
  return rows;
}

Linear PerturbedView::open_linear(size_t index, std::optional<size_t> bias, Storage storage) {
  const kernels::Delta delta = direction_.delta(index);
  const at::Tensor& theta = weight(index);
  const kernels::LowRank* factors = kernels::low_rank(delta);
  // Where products are rounded to bfloat16 at once, θ − ηΔ is made instead: a step added to them would be lost.
  const bool applied = factors && theta.scalar_type() == compute_dtype();
  if (!applied && (!wide() || kernels::is_zero(delta))) return ParameterView::open_linear(index, bias, storage);
  Linear map{oriented(theta, storage), {}, wide(), {}, {}, {}};
  if (bias) map.bias = value(*bias, wide() ? at::kFloat : compute_dtype());
  if (applied) {
    add_low_rank_step(map, *factors, learning_rate_, storage);
  } else {
    const auto make = [&](const at::Tensor& out) { kernels::negative_step(out, delta, learning_rate_); };
    map.step = oriented(made(index, at::kBFloat16, What::step, make), storage);
  }
  return map;
}

at::Tensor DifferentiableView::value(size_t index, at::ScalarType dtype) {
  const at::Tensor &weight = weights_[index], &leaf = leaves_[index];
  if (is_leaf(index)) return leaf.to(dtype);
  const at::NoGradGuard closed_form;
  const auto backward = [wide = leaf.scalar_type()](const at::Tensor& gradient) { return std::vector{gradient.to(wide)}; };
  return record({leaf}, weight.scalar_type() == dtype ? weight.detach() : weight.to(dtype), backward);
}

at::Tensor DifferentiableView::embedding_but(int64_t padding, const at::Tensor& ids, size_t weight) {
  if (is_leaf(weight)) return at::embedding(leaves_[weight], ids, padding);
  const at::NoGradGuard closed_form;
  const auto backward = [ids, padding, rows = leaves_[weight].size(0)](const at::Tensor& gradient) {
    return std::vector{at::embedding_dense_backward(gradient, ids, rows, padding, false)};
  };
  return record({leaves_[weight]}, gather(weights_[weight], ids), backward);
}

at::Tensor DifferentiableView::segment(const at::Tensor& x, const Segment& body) {
  // Without a gradient in its input there is no way back to it: what its parameters need is kept.
  if (!recompute_ || !x.requires_grad()) return body(*this, x);
  const at::NoGradGuard once;
  const at::Tensor input = x.detach();
  // A copy: a pass without derivatives may write to its input.
  return record({x}, body(plain_, input.clone()), [this, body, input](const at::Tensor& gradient) {
    const at::AutoGradMode again(true);
    const at::Tensor in = input.detach().requires_grad_(true), out = body(*this, in);
    torch::autograd::backward({out}, {gradient});
    return std::vector{in.grad()};
  });
}

std::vector<at::Tensor> differentiable_leaves(const std::vector<at::Tensor>& weights, const Layout& layout) {
  std::vector<at::Tensor> leaves;
  for (size_t i = 0; i < weights.size(); i++) {
    const at::Tensor& w = weights[i];
    const at::Tensor leaf =
        w.scalar_type() == at::kBFloat16 ? at::zeros({1}, w.options().dtype(at::kFloat)).expand(w.sizes()) : w.detach();
    leaves.push_back(leaf.requires_grad_(layout.is_trainable(i)));
  }
  return leaves;
}

}  // namespace critical_sharpness
