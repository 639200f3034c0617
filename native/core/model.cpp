#include "model.hpp"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/sub.h>
#include <ATen/ops/zeros.h>
#include <c10/core/InferenceMode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>

#include <algorithm>
#include <utility>

#include "errors.hpp"
#include "kernels/perturb.hpp"
#include "mapped_file.hpp"
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
                                        std::vector<bool> trainable) {
  auto layout = std::make_shared<Layout>();
  layout->parameters = network.parameters();
  TORCH_INTERNAL_ASSERT(trainable.empty() || trainable.size() == layout->size());
  layout->trainable = std::move(trainable);
  layout->dtype = weight_dtype == at::kDouble ? at::kDouble : at::kFloat;
  layout->device = device;
  return layout;
}

/// Called each time that a leaf's gradient was added to.
struct AfterGradient final : torch::autograd::PostAccumulateGradHook {
  explicit AfterGradient(std::function<void()> call) : call(std::move(call)) {}
  void operator()(const at::Tensor&) override { call(); }
  std::function<void()> call;
};

/// What a view's scratch must hold: a weight or its step in the compute dtype (a norm's weight in the layout's), and a bias.
Scratch scratch_for(const Layout& layout, at::ScalarType compute_dtype) {
  int64_t largest = 0, largest_vector = 0;
  for (const auto& p : layout.parameters) {
    const bool is_matrix = p.shape.size() > 1;
    const auto element = static_cast<int64_t>(c10::elementSize(is_matrix ? compute_dtype : layout.dtype));
    largest = std::max(largest, p.numel() * element);
    if (!is_matrix) largest_vector = std::max(largest_vector, p.numel() * element);
  }
  return {largest, largest_vector, layout.device};
}

/// Numbers of activations that a loss over several micro-batches holds so that they share what is made of weights.
constexpr int64_t most_held = 1 << 25;

}  // namespace

Model::Model(std::unique_ptr<Network> network, at::ScalarType weight_dtype, at::ScalarType compute_dtype,
             at::Device device, std::vector<bool> trainable)
    : network_(std::move(network)),
      layout_(layout_of(*network_, weight_dtype, device, std::move(trainable))),
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
  return converted(drawn, layout_->options().dtype(weight_dtype_), cancel);
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
    weights.push_back(tensors.at(i).is_given() ? reader.read(tensors[i], layout_->parameters[i], options, cancel)
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
  return bytes_of(parameter(index), offset, length);
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

at::ScalarType Model::dtype_of(const PassOptions& options) const {
  return options.float32 && compute_dtype_ == at::kBFloat16 ? at::kFloat : compute_dtype_;
}

Scratch& Model::scratch_of(const PassOptions& options) {
  return dtype_of(options) == compute_dtype_ ? scratch_ : float32_scratch_;
}

double Model::mean_loss(ParameterView& view, const Batch& batch, const PassOptions& options) const {
  const at::Tensor sum = at::zeros({}, layout_->options().dtype(at::kDouble));
  std::vector<Batch> together;
  int64_t held = 0;
  const auto take = [&] {
    for (const auto& part : network_->losses(view, together, options.cancel)) sum.add_(part);
    together.clear();
    held = 0;
  };
  for_each_micro_batch(*network_, *batch.on(device()), options, [&](Batch part) {
    const int64_t more = network_->numbers_held(part);
    if (!together.empty() && held + more > most_held) take();
    held += more;
    together.push_back(std::move(part));
  });
  take();
  return sum.item<double>() / network_->normalizer(batch);
}

LossResult Model::loss(const Batch& batch, const Perturbation* perturbation, const PassOptions& options) {
  require_weights();
  check(batch);
  const c10::InferenceMode no_autograd;
  if (!perturbation) {
    PlainView view(weights_, dtype_of(options), scratch_of(options));
    return {mean_loss(view, batch, options), version()};
  }
  const Direction& direction = *perturbation->direction;
  require_same_layout(*layout_, *direction.layout(), "the direction");
  direction.require_current();
  if (perturbation->mode == PerturbationMode::view) {
    PerturbedView view(weights_, direction, perturbation->learning_rate, dtype_of(options), scratch_of(options));
    return {mean_loss(view, batch, options), version()};
  }
  if (weight_dtype_ == at::kBFloat16)
    reject_range("Expected the perturbation \"view\" for bfloat16 weights but received \"in-place\": θ − ηΔ has no room in them");
  if (!device().is_cpu())
    reject_range("Expected the perturbation \"view\" for a model on " + device().str() + " but received \"in-place\", which is the CPU's");
  const InPlacePerturbation moved(weights_, require_stored(direction, "a perturbation in place"), perturbation->learning_rate,
                                  in_place_);
  PlainView view(weights_, dtype_of(options), scratch_of(options));
  return {mean_loss(view, batch, options), version()};
}

ExpertChanges Model::expert_changes(const Batch& batch, const Direction& direction, double learning_rate, const PassOptions& options) {
  require_weights();
  check(batch);
  require_same_layout(*layout_, *direction.layout(), "the direction");
  direction.require_current();
  const c10::InferenceMode no_autograd;
  PlainView plain(weights_, dtype_of(options), scratch_of(options));
  PerturbedView moved(weights_, direction, learning_rate, dtype_of(options), scratch_of(options));
  ExpertChanges all;
  for_each_micro_batch(*network_, *batch.on(device()), options, [&](const Batch& part) {
    const auto choices = [&](ParameterView& view) {
      std::vector<at::Tensor> experts;
      view.put_choices(&experts);
      network_->losses(view, {part}, options.cancel);
      view.put_choices(nullptr);
      return experts;
    };
    const ExpertChanges changes = compare(choices(plain), choices(moved));
    all.changed += changes.changed;
    all.of += changes.of;
  });
  return all;
}

GradientResult Model::gradient(const Batch& batch, const PassOptions& options) {
  std::vector<at::Tensor> gradients(layout_->size());
  const GradientSink sink{{}, [&](size_t i, const at::Tensor& gradient) { gradients[i] = gradient; }};
  const LossResult result = differentiate(batch, options, sink);
  return {result.loss, result.version, std::make_shared<ParameterVector>(layout_, std::move(gradients))};
}

LossResult Model::differentiate(const Batch& batch, const PassOptions& options, const GradientSink& sink) {
  require_weights();
  check(batch);
  auto leaves = differentiable_leaves(weights_, *layout_);
  PlainView plain(weights_, dtype_of(options), scratch_of(options));
  DifferentiableView differentiable(weights_, leaves, dtype_of(options), plain, options.recompute);

  // A micro-batch's own part is whole before it is added to those before it, wherever its contributions come from.
  std::vector<at::Tensor> sums(leaves.size());
  std::vector<bool> taken(leaves.size());
  bool is_last = false;
  const auto take = [&](size_t i) {
    TORCH_INTERNAL_ASSERT(!taken[i]);
    const at::Tensor gradient = std::exchange(sums[i], at::Tensor());
    taken[i] = true;
    sink.take(i, gradient.defined() ? gradient.contiguous() : gradient);
  };
  const auto part_is_whole = [&](size_t i) {
    at::Tensor part = std::exchange(leaves[i].mutable_grad(), at::Tensor());
    if (!sums[i].defined()) sums[i] = std::move(part);
    else if (part.defined()) sums[i].add_(part);
    if (is_last) take(i);
  };
  std::vector<size_t> before_backward, trainable;
  for (size_t i = 0; i < leaves.size(); i++) {
    if (!layout_->is_trainable(i)) continue;
    trainable.push_back(i);
    if (network_->is_whole_before_backward(i)) before_backward.push_back(i);
    else torch::autograd::impl::set_post_acc_grad_hooks(leaves[i], std::make_unique<AfterGradient>([&part_is_whole, i] { part_is_whole(i); }));
  }

  const double scale = 1 / network_->normalizer(batch);
  const auto wanted = [&](size_t i) { return layout_->is_trainable(i); };
  const auto add = [&](size_t i, const at::Tensor& gradient) {
    at::Tensor& sum = leaves[i].mutable_grad();
    if (sum.defined()) sum.add_(gradient);
    else sum = gradient.to(layout_->dtype);
  };
  const at::Tensor sum = at::zeros({}, layout_->options().dtype(at::kDouble));
  int64_t rows = 0;
  for_each_micro_batch(*network_, *batch.on(device()), options, [&](const Batch& part) {
    const PendingGradient pending = network_->differentiate({plain, differentiable, scale, wanted, add, options.cancel}, part);
    sum.add_(pending.sum);
    options.cancel.check();
    rows += part.rows();
    is_last = rows == batch.rows();
    if (is_last && sink.begin) sink.begin(sum.item<double>() * scale);
    for (const size_t i : before_backward) part_is_whole(i);
    pending.backward();
  });
  // What the network made no use of, or nothing of in its last micro-batch.
  for (const size_t i : trainable)
    if (!taken[i]) take(i);
  return {sum.item<double>() / network_->normalizer(batch), version()};
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

std::shared_ptr<const ParameterVector> load_vector(std::shared_ptr<const Layout> layout, const std::vector<FileTensor>& tensors,
                                                   const Cancellation& cancel) {
  FileReader reader;
  std::vector<at::Tensor> parts;
  for (size_t i = 0; i < layout->size(); i++) {
    cancel.check();
    const FileTensor& tensor = tensors.at(i);
    parts.push_back(tensor.is_given() ? reader.read(tensor, layout->parameters[i], layout->options(), cancel) : at::Tensor());
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
