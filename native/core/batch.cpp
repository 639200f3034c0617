#include "batch.hpp"

#include <ATen/ops/aminmax.h>
#include <ATen/ops/ne.h>
#include <ATen/ops/where.h>
#include <c10/core/InferenceMode.h>

#include <string>

#include "errors.hpp"

namespace critical_sharpness {
namespace {

std::pair<int64_t, int64_t> range_of(const at::Tensor& t) {
  const auto [low, high] = at::aminmax(t);
  return {low.item<int64_t>(), high.item<int64_t>()};
}

}  // namespace

std::shared_ptr<const Batch> Batch::tokens(at::Tensor inputs, at::Tensor labels, bool relative_positions) {
  if (inputs.dim() != 2 || inputs.numel() == 0)
    reject_range("Expected a shape [batch, sequence] of at least [1, 1] for inputIds but received an empty one");
  if (inputs.sizes() != labels.sizes())
    reject_range("Expected labels of the shape of inputIds for labels but received another shape");
  auto batch = std::shared_ptr<Batch>(new Batch);
  batch->kind_ = Kind::tokens;
  batch->relative_positions_ = relative_positions;
  const auto [low, high] = range_of(inputs);
  if (low < 0) reject_range("Expected token ids ≥ 0 for inputIds but received " + std::to_string(low));
  batch->largest_input_ = high;
  const at::Tensor counts = labels.ne(ignored);
  batch->count_ = counts.sum().item<int64_t>();
  if (batch->count_ == 0)
    reject_range("Expected at least one label other than -100 for labels but received none: the loss would be 0/0");
  const auto [label_low, label_high] = range_of(at::where(counts, labels, 0));
  if (label_low < 0)
    reject_range("Expected token ids ≥ 0, or -100 (ignored), for labels but received " + std::to_string(label_low));
  batch->largest_target_ = label_high;
  batch->inputs_ = std::move(inputs);
  batch->targets_ = std::move(labels);
  return batch;
}

std::shared_ptr<const Batch> Batch::examples(at::Tensor inputs, at::Tensor targets) {
  if (inputs.dim() != 2 || inputs.numel() == 0)
    reject_range("Expected a shape [n, features] of at least [1, 1] for inputs but received an empty one");
  if (targets.dim() < 1 || targets.size(0) != inputs.size(0) || targets.numel() == 0)
    reject_range("Expected one target for each of " + std::to_string(inputs.size(0)) + " inputs for targets but received " +
                 std::to_string(targets.dim() < 1 ? 0 : targets.size(0)));
  auto batch = std::shared_ptr<Batch>(new Batch);
  batch->kind_ = Kind::examples;
  batch->count_ = inputs.size(0);
  if (targets.scalar_type() == at::kLong) {
    const auto [low, high] = range_of(targets);
    if (low < 0) reject_range("Expected class labels ≥ 0 for targets but received " + std::to_string(low));
    batch->largest_target_ = high;
  }
  batch->inputs_ = std::move(inputs);
  batch->targets_ = std::move(targets);
  return batch;
}

const Batch* Batch::on(at::Device device) const {
  if (inputs_.device() == device) return this;
  if (!elsewhere_ || elsewhere_->inputs_.device() != device) {
    const c10::InferenceMode off(false);  // gradients use it too
    elsewhere_.reset();
    auto copy = std::shared_ptr<Batch>(new Batch(*this));
    copy->inputs_ = inputs_.to(device);
    copy->targets_ = targets_.to(device);
    elsewhere_ = std::move(copy);
  }
  return elsewhere_.get();
}

Batch Batch::slice(int64_t start, int64_t length) const {
  Batch part = *this;
  part.inputs_ = inputs_.narrow(0, start, length);
  part.targets_ = targets_.narrow(0, start, length);
  part.count_ = 0;
  return part;
}

std::shared_ptr<const Batch> Batch::part(int64_t start, int64_t length) const {
  auto batch = std::shared_ptr<Batch>(new Batch(slice(start, length)));
  batch->elsewhere_.reset();
  batch->count_ = kind_ == Kind::tokens ? batch->targets_.ne(ignored).sum().item<int64_t>() : length;
  return batch;
}

int64_t Batch::byte_length() const { return static_cast<int64_t>(inputs_.nbytes() + targets_.nbytes()); }

}  // namespace critical_sharpness
