#include "record.hpp"

#include <torch/csrc/autograd/custom_function.h>

namespace critical_sharpness {
namespace {

struct Closure : torch::CustomClassHolder {
  explicit Closure(Backward run) : run(std::move(run)) {}
  Backward run;
};

/// Not a tensor, so that autograd takes it for no input.
struct Made {
  at::Tensor output;
  Backward backward;
};

struct Recorded : torch::autograd::Function<Recorded> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, at::TensorList, const Made& made) {
    context->saved_data["backward"] = c10::IValue::make_capsule(c10::make_intrusive<Closure>(made.backward));
    return made.output;
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    TORCH_INTERNAL_ASSERT(!at::GradMode::is_enabled(), "what is recorded has no second derivative");
    const auto capsule = context->saved_data["backward"].toCapsule();
    const Backward run = std::move(static_cast<Closure&>(*capsule).run);
    auto result = run(gradients[0].contiguous());
    result.emplace_back();  // of Made
    return result;
  }
};

}  // namespace

at::Tensor record(at::TensorList inputs, at::Tensor output, Backward backward) {
  const at::AutoGradMode on(true);
  return Recorded::apply(inputs, Made{std::move(output), std::move(backward)});
}

}  // namespace critical_sharpness
