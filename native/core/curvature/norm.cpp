#include "norm.hpp"

#include <ATen/ops/add.h>

#include "kernels/norm.hpp"
#include "operation.hpp"

namespace critical_sharpness::curvature {
namespace {

std::vector<size_t> parameters_of(const Norm& norm) {
  std::vector<size_t> parameters;
  if (norm.weight) parameters.push_back(*norm.weight);
  if (norm.bias) parameters.push_back(*norm.bias);
  return parameters;
}

class Normalize final : public Operation {
 public:
  explicit Normalize(const Norm& norm) : Operation(parameters_of(norm)), norm_(norm) {}

  at::Tensor output(const Weights& weights, const Tensors& inputs) override {
    const at::Tensor bias = norm_.bias ? weights.value(*norm_.bias) : at::Tensor();
    auto made = kernels::norm(rows_of(inputs[0]), weight(weights), bias, norm_.epsilon, norm_.centered());
    normalized_ = made.normalized;
    scale_ = made.scale;
    return made.output.view(inputs[0].sizes());
  }
  Tensors keep_gradient(const Weights& weights, const at::Tensor& gradient) override {
    gradient_ = rows_of(gradient);
    const at::Tensor rows = kernels::norm_gradient(gradient_, normalized_, scale_, weight(weights), norm_.centered());
    return {rows.view(gradient.sizes())};
  }
  Tangent tangent(const Weights& weights, const Tensors& inputs) const override {
    auto made = kernels::norm_tangent(rows_of(inputs[0]), normalized_, scale_, weight(weights), weight_tangent(weights),
                                      norm_.bias ? weights.tangent(*norm_.bias) : at::Tensor(), norm_.centered());
    return {made.output.view(inputs[0].sizes()), {made.normalized, made.along}};
  }
  Gradients differentiate(const Weights& weights, const Memory& memory, const at::Tensor& gradient) const override {
    auto made = kernels::norm_second_order({rows_of(gradient), gradient_, normalized_, memory[0], scale_, memory[1],
                                            weight(weights), weight_tangent(weights), norm_.centered()});
    Gradients into{{made.input.view(gradient.sizes())}, {}};
    if (norm_.weight) into.parameters.push_back(made.weight);
    if (norm_.bias) into.parameters.push_back(made.bias);
    return into;
  }
  int64_t byte_length() const override { return bytes_of({normalized_, scale_, gradient_}); }

 private:
  static at::Tensor rows_of(const at::Tensor& x) { return x.reshape({-1, x.size(-1)}).contiguous(); }
  at::Tensor weight(const Weights& weights) const {
    if (!norm_.weight) return {};
    const at::Tensor& value = weights.value(*norm_.weight);
    return norm_.weight_from_one ? at::add(value, 1) : value;
  }
  at::Tensor weight_tangent(const Weights& weights) const {
    return norm_.weight ? weights.tangent(*norm_.weight) : at::Tensor();
  }

  Norm norm_;
  at::Tensor normalized_, scale_, gradient_;
};

}  // namespace

std::unique_ptr<Operation> norm(const Norm& norm) { return std::make_unique<Normalize>(norm); }

}  // namespace critical_sharpness::curvature
