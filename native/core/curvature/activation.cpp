#include <ATen/ops/mul.h>

#include "kernels/activation.hpp"
#include "operation.hpp"

namespace critical_sharpness::curvature {
namespace {

class Activate final : public Operation {
 public:
  explicit Activate(Activation kind) : Operation({}), kind_(kind) {}

  at::Tensor output(const Weights&, const at::Tensor& input) override {
    auto made = kernels::activation_derivatives(input.contiguous(), kind_);
    slope_ = made.first;
    second_ = made.second;
    return made.output;
  }
  /// Of the second derivative only its product with the gradient is needed.
  at::Tensor keep_gradient(const Weights&, const at::Tensor& gradient) override {
    bend_ = second_.mul_(gradient);
    return at::mul(slope_, gradient);
  }
  Tangent tangent(const Weights&, const at::Tensor& input) const override { return {at::mul(slope_, input), {input}}; }
  Gradients differentiate(const Weights&, const Memory& memory, const at::Tensor& gradient) const override {
    if (!bend_.defined()) return {at::mul(slope_, gradient), {}};
    return {kernels::sum_of_products(slope_, gradient, bend_, memory[0].contiguous()), {}};
  }
  int64_t byte_length() const override { return bytes_of({slope_, second_}); }

 private:
  Activation kind_;
  at::Tensor slope_, second_, bend_;
};

}  // namespace

std::unique_ptr<Operation> activation(Activation kind) { return std::make_unique<Activate>(kind); }

}  // namespace critical_sharpness::curvature
