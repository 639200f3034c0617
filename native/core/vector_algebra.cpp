#include "vector_algebra.hpp"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/rsqrt.h>

#include "errors.hpp"
#include "kernels/basis.hpp"

namespace critical_sharpness {

ParameterVector random_vector(const std::shared_ptr<const Layout>& layout, Distribution distribution, uint64_t seed) {
  auto generator = at::make_generator<at::CPUGeneratorImpl>(seed);
  std::vector<at::Tensor> tensors;
  for (const auto& p : layout->parameters) {
    at::Tensor drawn = at::empty(p.shape, at::kFloat);
    if (distribution == Distribution::normal) drawn.normal_(0, 1, generator);
    else drawn.bernoulli_(0.5, generator).mul_(2).sub_(1);
    tensors.push_back(drawn.to(layout->options()));
  }
  return {layout, std::move(tensors)};
}

ParameterVector linear_combination(const std::vector<SharedVector>& vectors, const std::vector<double>& coefficients) {
  kernels::Basis tensors;
  for (const auto& v : vectors) {
    require_same_layout(*vectors.front()->layout(), *v->layout(), "the vectors of a combination");
    tensors.push_back(v->tensors());
  }
  auto out = ParameterVector::empty(vectors.front()->layout());
  kernels::combine(out.tensors(), tensors, coefficients);
  return out;
}

ParameterVector elementwise_product(const ParameterVector& a, const ParameterVector& b) {
  require_same_layout(*a.layout(), *b.layout(), "the other vector");
  std::vector<at::Tensor> tensors;
  for (size_t i = 0; i < a.size(); i++)
    tensors.push_back(a[i].defined() && b[i].defined() ? at::mul(a[i], b[i]) : at::Tensor());
  return {a.layout(), std::move(tensors)};
}

ParameterVector inverse_square_root(const ParameterVector& diagonal) {
  std::vector<at::Tensor> tensors;
  for (size_t i = 0; i < diagonal.size(); i++) {
    // Written so that NaN fails.
    if (!diagonal[i].defined() || !diagonal[i].gt(0).all().item<bool>())
      reject_range("Expected positive numbers for the preconditioner but received others in \"" +
                   diagonal.layout()->parameters[i].name + "\"");
    tensors.push_back(at::rsqrt(diagonal[i]));
  }
  return {diagonal.layout(), std::move(tensors)};
}

}  // namespace critical_sharpness
