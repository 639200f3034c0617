#include "optimizer.hpp"

#include <cmath>
#include <numeric>

#include "errors.hpp"
#include "kernels/chunks.hpp"
#include "kernels/reduce.hpp"

namespace critical_sharpness {

Optimizer::Optimizer(std::shared_ptr<Model> model, ParameterGroups groups) : model_(std::move(model)), groups_(std::move(groups)) {
  if (groups_.learning_rate_ratio.size() != model_->layout()->size() || groups_.weight_decay.size() != model_->layout()->size())
    reject_range("Expected one learning-rate ratio and one weight decay for each of the model's " +
                 std::to_string(model_->layout()->size()) + " parameters but received another number");
}

void Optimizer::require_whole_state() const {
  if (torn_)
    throw InputError(InputError::Kind::state, "ERR_OPTIMIZER_STATE",
                     "Expected a whole state for the optimizer but received one that an interrupted gradient left half-way: "
                     "load a state or make a new optimizer");
}

void Optimizer::require_gradient() const {
  require_whole_state();
  if (steps_ == 0)
    throw InputError(InputError::Kind::state, "ERR_NO_GRADIENT", "Expected a gradient, taken in by accumulate, for the optimizer's direction but received none");
}

void Optimizer::accumulate(const ParameterVector& gradient) {
  require_whole_state();
  require_same_layout(*model_->layout(), *gradient.layout(), "the gradient");
  prepare_state();
  version_++;
  for (size_t i = 0; i < gradient.size(); i++) accumulate_parameter(i, gradient[i]);
  steps_++;
}

AccumulatedGradient Optimizer::accumulate_from(const Batch& batch, const PassOptions& options, bool weight_decay) {
  require_whole_state();
  prepare_state();
  const Layout& layout = *model_->layout();
  AccumulatedGradient result;
  result.slopes.resize(layout.size());
  std::vector<double> squares(layout.size());
  GradientSink sink;
  sink.begin = [&](double loss) {
    if (!std::isfinite(loss))
      throw InputError(InputError::Kind::state, "ERR_NON_FINITE_LOSS",
                       std::string("Expected a finite loss for the batch but received ") +
                           (std::isnan(loss) ? "NaN" : loss > 0 ? "Infinity" : "-Infinity"));
    // Δ is that of the state to be, from the first parameter on.
    version_++;
    steps_++;
    torn_ = true;
  };
  sink.take = [&](size_t i, const at::Tensor& gradient) {
    accumulate_parameter(i, gradient);
    if (!gradient.defined()) return;
    const auto read_gradient = [&](size_t, int64_t start, int64_t, void*) -> const void* {
      return static_cast<const char*>(gradient.const_data_ptr()) + start * static_cast<int64_t>(gradient.element_size());
    };
    const auto read_direction = [&](size_t, int64_t start, int64_t length, void* buffer) -> const void* {
      write_direction(i, start, length, weight_decay, buffer);
      return buffer;
    };
    squares[i] = kernels::dots(layout.dtype, {gradient.numel()}, read_gradient, read_gradient)[0];
    result.slopes[i] = kernels::dots(layout.dtype, {gradient.numel()}, read_gradient, read_direction)[0];
  };
  try {
    result.loss = model_->differentiate(batch, options, sink);
  } catch (...) {
    if (torn_) steps_--;
    throw;
  }
  torn_ = false;
  result.norm = std::sqrt(std::accumulate(squares.begin(), squares.end(), 0.0));
  return result;
}

std::shared_ptr<const ParameterVector> Optimizer::direction(bool weight_decay) const {
  require_gradient();
  auto out = std::make_shared<ParameterVector>(ParameterVector::empty(model_->layout()));
  const auto element = static_cast<int64_t>(c10::elementSize(model_->layout()->dtype));
  kernels::for_each_chunk(kernels::chunks_of(out->tensors()), [&](const kernels::Chunk& c, size_t) {
    void* to = static_cast<char*>((*out)[c.tensor].mutable_data_ptr()) + c.start * element;
    write_direction(c.tensor, c.start, c.length, weight_decay, to);
  });
  return out;
}

std::shared_ptr<const ParameterVector> Optimizer::preconditioner() const {
  require_gradient();
  return std::make_shared<ParameterVector>(make_preconditioner());
}

void Optimizer::step(double learning_rate) {
  require_gradient();
  apply(model_->weights_to_change(), learning_rate);
}

OptimizerState Optimizer::state() const {
  require_whole_state();
  return copy_state();
}

void Optimizer::restore(int64_t steps, const OptimizerState& state) {
  restore_state(steps, state);
  version_++;
  steps_ = steps;
  torn_ = false;
}

const ParameterVector& Optimizer::stored(const OptimizerState& state, const std::string& role) const {
  const auto found = state.find(role);
  if (found == state.end() || !found->second)
    throw InputError(InputError::Kind::range, "ERR_OPTIMIZER_STATE", "Expected \"" + role + "\" in the optimizer's state but received a state without it");
  require_same_layout(*model_->layout(), *found->second->layout(), "the optimizer's state");
  return *found->second;
}

}  // namespace critical_sharpness
