#include "ranks/recomputing_view.hpp"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/embedding_dense_backward.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>

#include "record.hpp"

namespace critical_sharpness {

Parts::Parts(const Network& network, const Layout& layout) : parameters(network.blocks()) {
  const auto found = std::find_if(parameters.begin(), parameters.end(), [&](const auto& members) {
    return std::any_of(members.begin(), members.end(), [&](size_t i) { return layout.is_trainable(i); });
  });
  first_trainable = static_cast<size_t>(found - parameters.begin());
}

RecomputingView::RecomputingView(at::ScalarType weight_dtype, const Layout& layout, const Parts& parts, const Sources& sources,
                             std::function<void(size_t, const at::Tensor&)> add, std::function<void(size_t)> back)
    : ParameterView(weight_dtype, sources.gathered.compute_dtype()),
      layout_(layout),
      parts_(parts),
      from_(sources),
      add_(std::move(add)),
      back_(std::move(back)),
      start_(at::zeros({1}, layout.options()).requires_grad_(true)) {}

at::Tensor RecomputingView::value(size_t index, at::ScalarType dtype) {
  return layout_.is_whole(index) ? from_.own.value(index, dtype) : from_.leaves[index].to(dtype);
}

at::Tensor RecomputingView::embedding(const at::Tensor& ids, size_t weight) { return from_.own.embedding(ids, weight); }

at::Tensor RecomputingView::embedding_but(int64_t padding, const at::Tensor& ids, size_t weight) {
  return from_.own.embedding_but(padding, ids, weight);
}

void RecomputingView::leave(const at::Tensor& inputs, std::shared_ptr<Balance> balance) {
  from_.gathered.leave(inputs, std::move(balance));
}

at::Tensor RecomputingView::embed(const at::Tensor& ids, size_t tokens, std::optional<size_t> positions, int64_t padding) {
  if (layout_.is_whole(tokens)) return ParameterView::embed(ids, tokens, positions, padding);
  const at::NoGradGuard closed_form;
  const at::Tensor rows = from_.gathered.embed(ids, tokens, positions, padding);
  if (parts_.first_trainable > 0) return rows;
  return record({start_}, rows, [this, ids, tokens, positions, padding](const at::Tensor& gradient) {
    const at::Tensor by_row = gradient.view({ids.size(0), ids.size(1), -1});
    const auto add = [&](size_t index, const at::Tensor& of_rows, const at::Tensor& at, int64_t constant) {
      if (layout_.is_trainable(index))
        add_(index, at::embedding_dense_backward(of_rows, at, layout_.parameters[index].shape[0], constant, false));
    };
    add(tokens, by_row, ids, padding);
    if (positions) add(*positions, by_row.sum(0), at::arange(ids.size(1), ids.options()), -1);
    return std::vector{at::Tensor()};
  });
}

at::Tensor RecomputingView::segment(const at::Tensor& x, const Segment& body) {
  if (layout_.shards->order().empty()) return body(*this, x);
  const size_t number = ++segments_;
  const at::NoGradGuard once;
  const at::Tensor input = x.detach();
  const at::Tensor out = body(from_.gathered, input.clone());
  if (number < parts_.first_trainable) return out;
  return record({x.requires_grad() ? x : start_}, out, [this, body, input, number, continues = x.requires_grad()](const at::Tensor& gradient) {
    for (const size_t i : layout_.shards->blocks()[layout_.shards->order()[number]].parameters)
      from_.leaves[i] = from_.pass.whole(i).detach().requires_grad_(layout_.is_trainable(i));
    const at::AutoGradMode again(true);
    const at::Tensor in = input.detach().requires_grad_(continues), computed = body(*this, in);
    torch::autograd::backward({computed}, {gradient});
    back_(number);
    return std::vector{in.grad()};
  });
}

}  // namespace critical_sharpness
