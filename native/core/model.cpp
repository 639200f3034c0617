#include "model.hpp"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/sub.h>

#include <algorithm>
#include <utility>

#include "errors.hpp"
#include "kernels/perturb.hpp"
#include "mapped_file.hpp"
#include "ranks/gathered_bytes.hpp"
#include "ranks/group.hpp"
#include "ranks/shards.hpp"
#include "stretches.hpp"
#include "tensor_bytes.hpp"

namespace critical_sharpness {
namespace {

const char* name_of(Initialization scheme) {
  switch (scheme) {
    case Initialization::gpt2: return "gpt2";
    case Initialization::normal: return "normal";
    case Initialization::pytorch: return "pytorch";
    case Initialization::he: return "he";
    case Initialization::zeros: return "zeros";
  }
  return "";
}

std::shared_ptr<const Layout> layout_of(const Network& network, at::ScalarType weight_dtype, at::Device device,
                                        std::vector<bool> trainable, std::shared_ptr<Group> group) {
  auto layout = std::make_shared<Layout>();
  layout->parameters = network.parameters();
  TORCH_INTERNAL_ASSERT(trainable.empty() || trainable.size() == layout->size());
  layout->trainable = std::move(trainable);
  layout->dtype = weight_dtype == at::kDouble ? at::kDouble : at::kFloat;
  layout->device = device;
  layout->group = std::move(group);
  if (layout->group)
    layout->shards = std::make_shared<Shards>(layout->parameters, network.blocks(), layout->group->rank(), layout->group->size());
  return layout;
}

/// What a view's scratch must hold: a weight or its step in the compute dtype (a norm's weight in the layout's), and a bias.
Scratch scratch_for(const Layout& layout, at::ScalarType compute_dtype) {
  int64_t largest = 0, largest_vector = 0;
  for (size_t i = 0; i < layout.size(); i++) {
    const ParameterSpec& p = layout.parameters[i];
    const bool is_matrix = p.shape.size() > 1;
    const auto element = static_cast<int64_t>(c10::elementSize(is_matrix ? compute_dtype : layout.dtype));
    largest = std::max(largest, layout.local_numel(i) * element);
    if (!is_matrix) largest_vector = std::max(largest_vector, p.numel() * element);
  }
  return {largest, largest_vector, layout.device};
}

}  // namespace

Model::Model(std::unique_ptr<Network> network, at::ScalarType weight_dtype, at::ScalarType compute_dtype,
             at::Device device, std::vector<bool> trainable, std::shared_ptr<Group> group)
    : network_(std::move(network)),
      layout_(layout_of(*network_, weight_dtype, device, std::move(trainable), std::move(group))),
      weight_dtype_(weight_dtype),
      compute_dtype_(compute_dtype),
      scratch_(scratch_for(*layout_, compute_dtype)),
      float32_scratch_(scratch_for(*layout_, at::kFloat)) {}

int64_t Model::byte_length() const {
  const auto numbers = layout_->byte_length() / static_cast<int64_t>(c10::elementSize(layout_->dtype));
  return numbers * static_cast<int64_t>(c10::elementSize(weight_dtype_));
}

at::Tensor Model::first_weight(size_t index, Initialization scheme, const at::Generator& generator,
                               const Cancellation& cancel) const {
  const InitialValue start = scheme == Initialization::zeros ? InitialValue{} : network_->initial_value(index, name_of(scheme));
  // Drawn in float32 on the CPU whatever dtype and device, so that a seed means the same weights everywhere.
  at::Tensor drawn = at::empty(layout_->parameters[index].shape, at::kFloat);
  // A generator gives the same numbers in stretches as at once: none of them is so short that normal_ draws otherwise, and
  // all but the last are multiples of the 16 that it draws at a time.
  in_stretches(drawn.numel(), cancel, [&](int64_t first, int64_t length) {
    at::Tensor part = stretch(drawn, first, length);
    switch (start.kind) {
      case InitialValue::Kind::constant: part.fill_(start.value); break;
      case InitialValue::Kind::normal: part.normal_(0, start.value, generator); break;
      case InitialValue::Kind::uniform: part.uniform_(-start.value, start.value, generator); break;
    }
  });
  const auto run = layout_->run(index);
  return converted(run ? copied_run(drawn, *run) : drawn, layout_->options().dtype(weight_dtype_), cancel);
}

void Model::initialize(Initialization scheme, uint64_t seed, const Cancellation& cancel) {
  load(std::vector<FileTensor>(layout_->size()), scheme, seed, cancel);
}

void Model::load(const std::vector<FileTensor>& tensors, Initialization scheme, uint64_t seed, const Cancellation& cancel) {
  const auto generator = at::make_generator<at::CPUGeneratorImpl>(seed);
  FileReader reader;
  std::vector<at::Tensor> weights;
  for (size_t i = 0; i < layout_->size(); i++) {
    cancel.check();
    const auto options = layout_->options().dtype(weight_dtype_);
    weights.push_back(tensors.at(i).is_given() ? reader.read(tensors[i], layout_->parameters[i], options, cancel, layout_->run(i))
                                               : first_weight(i, scheme, generator, cancel));
  }
  weights_ = std::move(weights);
  version_++;
}

void Model::require_weights() const {
  if (weights_.empty())
    throw InputError(InputError::Kind::state, "ERR_NO_WEIGHTS", "Expected a model with weights but received one that was neither initialised nor loaded, or whose step was cut short");
}

const at::Tensor& Model::parameter(size_t index) const {
  require_weights();
  return weights_.at(index);
}

std::vector<uint8_t> Model::read_bytes(size_t index, int64_t offset, int64_t length) const {
  const at::Tensor& here = parameter(index);
  const Call call{"read", {{"parameter", index}, {"place", static_cast<uint64_t>(offset)}, {"length", static_cast<uint64_t>(length)}}};
  return together(layout_->group.get(), call, {}, [&] {
    return gathered_bytes(*layout_, index, static_cast<int64_t>(here.element_size()), offset, length,
                          [&](int64_t from, int64_t count) { return bytes_of(here, from, count); });
  });
}

std::vector<uint8_t> Model::read_buffer(size_t index, int64_t offset, int64_t length) const {
  return bytes_of(network_->buffer(index).contiguous(), offset, length);
}

void Model::move_buffers(const Batch& batch, const PassOptions& options) {
  require_weights();
  check(batch);
  if (network_->buffer_count() == 0) return;
  PlainView view(weights_, compute_dtype_, scratch_);
  network_->move_buffers(view, *batch.on(device()), options.cancel);
  version_++;
}

std::vector<at::Tensor>& Model::weights_to_change() {
  require_weights();
  if (weight_dtype_ == at::kBFloat16)
    throw InputError(InputError::Kind::state, "ERR_BFLOAT16_WEIGHTS",
                     "Expected float32 or float64 weights for a step but received bfloat16 ones, in which most steps would be "
                     "lost: the parameterDtype \"float32\" with the dtype \"bfloat16\" multiplies in bfloat16 too");
  version_++;
  return weights_;
}

const std::vector<at::Tensor>& Model::weights_to_differentiate() const {
  require_weights();
  if (compute_dtype_ != weight_dtype_ || compute_dtype_ == at::kBFloat16)
    reject_range("Expected a model that computes in float32 or float64 for second derivatives but received one that " +
                 std::string(compute_dtype_ == at::kBFloat16 ? "computes in bfloat16" : "keeps its weights in bfloat16"));
  return weights_;
}

void Model::step(const Direction& direction, double learning_rate, const Cancellation& cancel, const Cancellation& ending) {
  require_same_layout(*layout_, *direction.layout(), "the direction");
  direction.require_current();
  cancel.check();
  std::vector<at::Tensor>& weights = weights_to_change();
  try {
    for (size_t i = 0; i < weights.size(); i++) {
      ending.check();
      const kernels::Delta delta = kernels::in_parts(direction.delta(i), ending);
      if (!kernels::is_zero(delta)) kernels::perturb(weights[i], weights[i], delta, learning_rate);
    }
  } catch (...) {
    lose_weights();
    throw;
  }
}

std::shared_ptr<const ParameterVector> Model::copy_weights(const Cancellation& cancel) const {
  require_weights();
  std::vector<at::Tensor> parts(weights_.size());
  for (size_t i = 0; i < weights_.size(); i++)
    if (layout_->is_trainable(i)) parts[i] = made_like(weights_[i], layout_->options(), cancel, [&](at::Tensor& part, int64_t start, int64_t length) {
        part.copy_(stretch(weights_[i], start, length));
      });
  return std::make_shared<ParameterVector>(layout_, std::move(parts));
}

void Model::restore_weights(const ParameterVector& saved, const Cancellation& cancel, const Cancellation& ending) {
  require_same_layout(*layout_, *saved.layout(), "the saved weights");
  cancel.check();
  std::vector<at::Tensor>& weights = weights_to_change();
  try {
    for (size_t i = 0; i < weights.size(); i++)
      if (saved.has(i) && layout_->is_trainable(i)) in_stretches(weights[i].numel(), ending, [&](int64_t start, int64_t length) {
          stretch(weights[i], start, length).copy_(stretch(saved[i], start, length));
        });
  } catch (...) {
    lose_weights();
    throw;
  }
}

std::shared_ptr<const ParameterVector> load_vector(std::shared_ptr<const Layout> layout, const std::vector<FileTensor>& tensors,
                                                   const Cancellation& cancel) {
  FileReader reader;
  std::vector<at::Tensor> parts;
  for (size_t i = 0; i < layout->size(); i++) {
    cancel.check();
    const FileTensor& tensor = tensors.at(i);
    parts.push_back(tensor.is_given() ? reader.read(tensor, layout->parameters[i], layout->options(), cancel, layout->run(i)) : at::Tensor());
  }
  return std::make_shared<ParameterVector>(std::move(layout), std::move(parts));
}

std::shared_ptr<const ParameterVector> difference(const Model& a, const Model& b, const Cancellation& cancel) {
  require_same_layout(*a.layout(), *b.layout(), "the other model");
  const at::ScalarType dtype = a.layout()->dtype;
  std::vector<at::Tensor> parts;
  for (size_t i = 0; i < a.layout()->size(); i++) {
    const at::Tensor &x = a.parameter(i), &y = b.parameter(i);
    parts.push_back(made_like(x, a.layout()->options(), cancel, [&](at::Tensor& part, int64_t start, int64_t length) {
      at::sub_out(part, stretch(x, start, length).to(dtype), stretch(y, start, length).to(dtype));
    }));
  }
  return std::make_shared<ParameterVector>(a.layout(), std::move(parts));
}

}  // namespace critical_sharpness
