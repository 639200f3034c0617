#include <ATen/ops/clamp.h>
#include <ATen/ops/mul.h>

#include "kernels/activation.hpp"
#include "operation.hpp"

namespace critical_sharpness::curvature {
namespace {

class Activate final : public Operation {
 public:
  explicit Activate(Activation kind) : Operation({}), kind_(kind) {}

  at::Tensor output(const Weights&, const Tensors& inputs) override {
    auto made = kernels::activation_derivatives(inputs[0].contiguous(), kind_);
    slope_ = made.first;
    second_ = made.second;
    return made.output;
  }
  /// Of the second derivative only its product with the gradient is needed.
  Tensors keep_gradient(const Weights&, const at::Tensor& gradient) override {
    bend_ = second_.mul_(gradient);
    return {at::mul(slope_, gradient)};
  }
  Tangent tangent(const Weights&, const Tensors& inputs) const override { return {at::mul(slope_, inputs[0]), {inputs[0]}}; }
  Gradients differentiate(const Weights&, const Memory& memory, const at::Tensor& gradient) const override {
    if (!bend_.defined()) return {{at::mul(slope_, gradient)}, {}};
    return {{kernels::sum_of_products(slope_, gradient, bend_, memory[0].contiguous())}, {}};
  }
  int64_t byte_length() const override { return bytes_of({slope_, second_}); }

 private:
  Activation kind_;
  at::Tensor slope_, second_, bend_;
};

/// y = f(g)·x. With the loss's gradient G in y, the tangents move that in g, G·f′x, by G·(f″x·ġ + f′·ẋ), and that in x, G·f,
/// by G·f′·ġ.
class Gate final : public Operation {
 public:
  explicit Gate(Activation kind) : Operation({}), kind_(kind) {}

  at::Tensor output(const Weights&, const Tensors& inputs) override {
    auto made = kernels::activation_derivatives(inputs[0].contiguous(), kind_);
    x_ = inputs[1].contiguous();
    value_ = made.output;
    slope_ = made.first;
    second_ = made.second;
    return at::mul(value_, x_);
  }
  Tensors keep_gradient(const Weights&, const at::Tensor& gradient) override {
    const at::Tensor into_value = at::mul(gradient, x_);
    bend_ = second_.mul_(into_value);
    along_ = at::mul(gradient, slope_);
    return {at::mul(into_value, slope_), at::mul(gradient, value_)};
  }
  Tangent tangent(const Weights&, const Tensors& inputs) const override {
    const at::Tensor g = inputs[0].contiguous(), x = inputs[1].contiguous();
    return {kernels::sum_of_products(at::mul(slope_, x_), g, value_, x), {g, x}};
  }
  Gradients differentiate(const Weights&, const Memory& memory, const at::Tensor& gradient) const override {
    at::Tensor into_g = at::mul(slope_, x_).mul_(gradient), into_x = at::mul(value_, gradient);
    if (!bend_.defined()) return {{into_g, into_x}, {}};
    into_g.add_(kernels::sum_of_products(bend_, memory[0], along_, memory[1]));
    into_x.addcmul_(along_, memory[0]);
    return {{into_g, into_x}, {}};
  }
  int64_t byte_length() const override { return bytes_of({x_, value_, slope_, second_, along_}); }

 private:
  Activation kind_;
  at::Tensor x_, value_, slope_, second_, bend_, along_;
};

/// Piecewise linear.
class Clamp final : public Operation {
 public:
  explicit Clamp(double bound) : Operation({}), bound_(bound) {}

  at::Tensor output(const Weights&, const Tensors& inputs) override {
    slope_ = inputs[0].abs().le(bound_).to(inputs[0].scalar_type());
    return at::clamp(inputs[0], -bound_, bound_);
  }
  Tensors keep_gradient(const Weights&, const at::Tensor& gradient) override { return {at::mul(slope_, gradient)}; }
  Tangent tangent(const Weights&, const Tensors& inputs) const override { return {at::mul(slope_, inputs[0]), {}}; }
  Gradients differentiate(const Weights&, const Memory&, const at::Tensor& gradient) const override {
    return {{at::mul(slope_, gradient)}, {}};
  }
  int64_t byte_length() const override { return bytes_of({slope_}); }

 private:
  double bound_;
  at::Tensor slope_;
};

}  // namespace

std::unique_ptr<Operation> activation(Activation kind) { return std::make_unique<Activate>(kind); }
std::unique_ptr<Operation> gate(Activation kind) { return std::make_unique<Gate>(kind); }
std::unique_ptr<Operation> clamp(double bound) { return std::make_unique<Clamp>(bound); }

}  // namespace critical_sharpness::curvature
