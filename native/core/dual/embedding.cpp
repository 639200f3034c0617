#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/zeros.h>

#include "dual.hpp"
#include "record.hpp"

namespace critical_sharpness::dual {
namespace {

/// tokens[ids] + positions, as rows; undefined tensors are zeros.
at::Tensor rows(const at::Tensor& ids, const at::Tensor& tokens, const at::Tensor& positions, const at::Tensor& like) {
  const int64_t width = like.size(1);
  at::Tensor out = tokens.defined() ? at::embedding(tokens, ids) : at::zeros({ids.size(0), ids.size(1), width}, like.options());
  if (positions.defined()) out.add_(positions.narrow(0, 0, ids.size(1)));
  return out.reshape({ids.numel(), width});
}

}  // namespace

at::Tensor embedding(const at::Tensor& ids, const Weight& tokens, const Weight& positions) {
  const at::NoGradGuard no_gradient;
  const at::Tensor t = tokens.value.detach(), p = positions.value.detach();
  const at::Tensor out = at::cat({rows(ids, t, p, t), rows(ids, tokens.tangent, positions.tangent, t)});
  // It is linear in its weights: their gradient comes from the values alone.
  return record({tokens.value, positions.value}, out, [ids, t, p](const at::Tensor& gradient) {
    const at::Tensor g = values(gradient), into_tokens = at::zeros(t.sizes(), g.options()),
                     into_positions = at::zeros(p.sizes(), g.options());
    into_tokens.index_add_(0, ids.reshape(-1), g);
    into_positions.narrow(0, 0, ids.size(1)).copy_(g.view({ids.size(0), ids.size(1), g.size(1)}).sum(0));
    return std::vector<at::Tensor>{into_tokens, into_positions};
  });
}

}  // namespace critical_sharpness::dual
