#include "vector_algebra.hpp"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/rsqrt.h>

#include <algorithm>

#include "errors.hpp"
#include "kernels/basis.hpp"
#include "stretches.hpp"

namespace critical_sharpness {

ParameterVector random_vector(const std::shared_ptr<const Layout>& layout, Distribution distribution, uint64_t seed,
                              const Cancellation& cancel) {
  auto generator = at::make_generator<at::CPUGeneratorImpl>(seed);
  std::vector<at::Tensor> tensors;
  for (size_t i = 0; i < layout->size(); i++) {
    cancel.check();
    if (!layout->is_trainable(i)) {
      tensors.emplace_back();
      continue;
    }
    at::Tensor drawn = at::empty(layout->parameters[i].shape, at::kFloat);
    // Normal numbers are the same in stretches. Bernoulli's are not, but come five times as fast: one call a tensor.
    if (distribution == Distribution::normal)
      in_stretches(drawn.numel(), cancel,
                   [&](int64_t start, int64_t length) { stretch(drawn, start, length).normal_(0, 1, generator); });
    else drawn.bernoulli_(0.5, generator).mul_(2).sub_(1);
    const auto run = layout->run(i);
    tensors.push_back(converted(run ? copied_run(drawn, *run) : drawn, layout->options(), cancel));
  }
  return {layout, std::move(tensors)};
}

ParameterVector linear_combination(const std::vector<SharedVector>& vectors, const std::vector<double>& coefficients,
                                   const Cancellation& cancel) {
  const auto& layout = vectors.front()->layout();
  for (const auto& v : vectors) require_same_layout(*layout, *v->layout(), "the vectors of a combination");
  std::vector<at::Tensor> out(layout->size()), defined;
  kernels::Basis of_defined(vectors.size());
  for (size_t i = 0; i < out.size(); i++) {
    if (std::none_of(vectors.begin(), vectors.end(), [i](const auto& v) { return v->has(i); })) continue;
    out[i] = defined.emplace_back(at::empty(layout->local_shape(i), layout->options()));
    for (size_t k = 0; k < vectors.size(); k++) of_defined[k].push_back((*vectors[k])[i]);
  }
  if (!defined.empty()) kernels::combine(defined, of_defined, coefficients, cancel);
  return {layout, std::move(out)};
}

ParameterVector elementwise_product(const ParameterVector& a, const ParameterVector& b, const Cancellation& cancel) {
  require_same_layout(*a.layout(), *b.layout(), "the other vector");
  std::vector<at::Tensor> tensors;
  for (size_t i = 0; i < a.size(); i++)
    tensors.push_back(!a[i].defined() || !b[i].defined()
                          ? at::Tensor()
                          : made_like(a[i], a[i].options(), cancel, [&](at::Tensor& part, int64_t start, int64_t length) {
                              at::mul_out(part, stretch(a[i], start, length), stretch(b[i], start, length));
                            }));
  return {a.layout(), std::move(tensors)};
}

ParameterVector inverse_square_root(const ParameterVector& diagonal, const Cancellation& cancel) {
  std::vector<at::Tensor> tensors;
  for (size_t i = 0; i < diagonal.size(); i++) {
    const auto refuse = [&] {
      reject_range("Expected positive numbers for the preconditioner but received others in \"" +
                   diagonal.layout()->parameters[i].name + "\"");
    };
    const at::Tensor& numbers = diagonal[i];
    if (!diagonal.layout()->is_trainable(i)) {
      tensors.emplace_back();
      continue;
    }
    if (!numbers.defined()) refuse();
    tensors.push_back(made_like(numbers, numbers.options(), cancel, [&](at::Tensor& part, int64_t start, int64_t length) {
      const at::Tensor given = stretch(numbers, start, length);
      if (!given.gt(0).all().item<bool>()) refuse();  // written so that NaN fails
      at::rsqrt_out(part, given);
    }));
  }
  return {diagonal.layout(), std::move(tensors)};
}

}  // namespace critical_sharpness
