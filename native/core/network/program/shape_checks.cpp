#include <ATen/core/Tensor.h>

#include "graph.hpp"
#include "operators.hpp"

namespace critical_sharpness::program {
namespace {

using Stack = torch::jit::Stack;

[[noreturn]] void reject_shapes(const std::string& name) { reject_program("tensors whose sizes belong together at " + name, "others"); }

bool has_shape(const at::Tensor& tensor, at::IntArrayRef shape) { return tensor.defined() && tensor.sizes() == shape; }

/// A batch norm's vectors have a number for each channel. The kernels below batch_norm take that on faith.
std::function<void(const Stack&)> per_channel(const c10::FunctionSchema& schema, std::string name) {
  std::vector<size_t> vectors;
  for (const char* vector : {"weight", "bias", "running_mean", "running_var"})
    if (const auto place = schema.argumentIndexWithName(vector)) vectors.push_back(static_cast<size_t>(*place));
  return [vectors, name = std::move(name)](const Stack& stack) {
    const at::Tensor input = stack.at(0).toTensor();
    if (!input.defined() || input.dim() < 2) reject_shapes(name);
    for (const size_t i : vectors) {
      const c10::IValue& vector = stack.at(i);
      if (vector.isTensor() && vector.toTensor().defined() && !has_shape(vector.toTensor(), {input.size(1)})) reject_shapes(name);
    }
  };
}

/// Weights of a recurrent network, layer by layer and direction by direction, as torch.nn.LSTM has them: of the input, of the state,
/// their biases, and an LSTM's projection. oneDNN takes them on faith.
std::function<void(const Stack&)> recurrent(int64_t gates, std::string name) {
  return [gates, name = std::move(name)](const Stack& stack) {
    const at::Tensor input = stack.at(0).toTensor();
    const std::vector<at::Tensor> states = stack.at(1).isTensor() ? std::vector{stack[1].toTensor()} : stack[1].toTensorVector();
    const auto weights = stack.at(2).toTensorVector();
    const bool has_biases = stack.at(3).toBool(), bidirectional = stack.at(7).toBool(), batch_first = stack.at(8).toBool();
    const int64_t layers = stack.at(4).toInt(), directions = bidirectional ? 2 : 1;
    if (!input.defined() || input.dim() != 3 || states.empty() || layers < 1 || layers > static_cast<int64_t>(weights.size())) reject_shapes(name);
    for (const at::Tensor& state : states)
      if (!state.defined() || state.dim() != 3 || state.size(0) != layers * directions || state.size(1) != input.size(batch_first ? 0 : 1))
        reject_shapes(name);
    const int64_t out = states.front().size(2), hidden = states.back().size(2);
    std::vector<std::vector<int64_t>> expected;
    for (int64_t layer = 0; layer < layers; layer++)
      for (int64_t direction = 0; direction < directions; direction++) {
        expected.push_back({gates * hidden, layer == 0 ? input.size(2) : out * directions});
        expected.push_back({gates * hidden, out});
        if (has_biases) expected.insert(expected.end(), 2, {gates * hidden});
        if (out != hidden) expected.push_back({out, hidden});
      }
    if (weights.size() != expected.size()) reject_shapes(name);
    for (size_t i = 0; i < weights.size(); i++)
      if (!has_shape(weights[i], expected[i])) reject_shapes(name);
  };
}

}  // namespace

std::function<void(const Stack&)> shape_check(const c10::FunctionSchema& schema, const std::string& name) {
  const std::string& op = schema.name();
  if (op.find("batch_norm") != std::string::npos) return per_channel(schema, name);
  if (op == "aten::lstm") return recurrent(4, name);
  if (op == "aten::gru") return recurrent(3, name);
  if (op == "aten::rnn_tanh" || op == "aten::rnn_relu") return recurrent(1, name);
  return {};
}

}  // namespace critical_sharpness::program
