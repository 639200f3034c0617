#include "kernels/layer_norm.hpp"

#include "operation.hpp"

namespace critical_sharpness::curvature {
namespace {

class LayerNorm final : public Operation {
 public:
  LayerNorm(size_t weight, size_t bias, double epsilon)
      : Operation({weight, bias}), weight_(weight), bias_(bias), epsilon_(epsilon) {}

  at::Tensor output(const Weights& weights, const at::Tensor& input) override {
    auto made = kernels::layer_norm(input.contiguous(), weights.value(weight_), weights.value(bias_), epsilon_);
    normalized_ = made.normalized;
    scale_ = made.scale;
    return made.output;
  }
  at::Tensor keep_gradient(const Weights& weights, const at::Tensor& gradient) override {
    gradient_ = gradient;
    return kernels::layer_norm_gradient(gradient, normalized_, scale_, weights.value(weight_));
  }
  Tangent tangent(const Weights& weights, const at::Tensor& input) const override {
    auto made = kernels::layer_norm_tangent(input.contiguous(), normalized_, scale_, weights.value(weight_),
                                            weights.tangent(weight_), weights.tangent(bias_));
    return {made.output, {made.normalized, made.along}};
  }
  Gradients differentiate(const Weights& weights, const Memory& memory, const at::Tensor& gradient) const override {
    auto made = kernels::layer_norm_second_order(
        {gradient, gradient_, normalized_, memory[0], scale_, memory[1], weights.value(weight_), weights.tangent(weight_)});
    return {made.input, {made.weight, made.bias}};
  }
  int64_t byte_length() const override { return bytes_of({normalized_, scale_, gradient_}); }

 private:
  size_t weight_, bias_;
  double epsilon_;
  at::Tensor normalized_, scale_, gradient_;
};

}  // namespace

std::unique_ptr<Operation> layer_norm(size_t weight, size_t bias, double epsilon) {
  return std::make_unique<LayerNorm>(weight, bias, epsilon);
}

}  // namespace critical_sharpness::curvature
