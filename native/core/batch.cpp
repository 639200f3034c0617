#include "batch.hpp"

#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <string>

#include "errors.hpp"
#include "kernels/tokens.hpp"

namespace critical_sharpness {
namespace {

/// A copy, where each number that counts is a token's id.
kernels::CopiedIntegers copy_ids(const at::Tensor& numbers, std::optional<int64_t> ignored, const std::string& lower,
                                 const char* subject) {
  auto copied = kernels::copy_integers(numbers, ignored);
  if (copied.lowest < 0)
    reject_range("Expected token ids ≥ 0" + lower + " for " + subject + " but received " + std::to_string(copied.lowest));
  if (copied.largest > std::numeric_limits<int32_t>::max())
    reject_range(std::string("Expected token ids below 2^31 for ") + subject + " but received " + std::to_string(copied.largest));
  return copied;
}

/// As operations take ids: int64. They are half the size until a pass has its part of them.
at::Tensor wide(const at::Tensor& numbers) { return numbers.scalar_type() == at::kInt ? numbers.to(at::kLong) : numbers; }

}  // namespace

std::shared_ptr<const Batch> Batch::tokens(at::Tensor inputs, at::Tensor labels, bool relative_positions) {
  if (inputs.dim() != 2 || inputs.numel() == 0)
    reject_range("Expected a shape [batch, sequence] of at least [1, 1] for inputIds but received an empty one");
  if (inputs.sizes() != labels.sizes())
    reject_range("Expected labels of the shape of inputIds for labels but received another shape");
  auto batch = std::shared_ptr<Batch>(new Batch);
  batch->kind_ = Kind::tokens;
  batch->relative_positions_ = relative_positions;
  auto ids = copy_ids(inputs.contiguous(), std::nullopt, "", "inputIds");
  auto targets = copy_ids(labels.contiguous(), ignored, ", or -100 (ignored),", "labels");
  if (targets.counted == 0)
    reject_range("Expected at least one label other than -100 for labels but received none: the loss would be 0/0");
  batch->count_ = targets.counted;
  batch->largest_input_ = ids.largest;
  batch->largest_target_ = targets.largest;
  batch->inputs_ = std::move(ids.numbers);
  batch->targets_ = std::move(targets.numbers);
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
    const auto [low, high] = kernels::range_of(targets);
    if (low < 0) reject_range("Expected class labels ≥ 0 for targets but received " + std::to_string(low));
    batch->largest_target_ = high;
  }
  batch->inputs_ = std::move(inputs);
  batch->targets_ = std::move(targets);
  return batch;
}

std::shared_ptr<const Batch> Batch::named(Named tensors) {
  if (tensors.empty()) reject_range("Expected at least one tensor for the batch but received none");
  auto batch = std::shared_ptr<Batch>(new Batch);
  batch->kind_ = Kind::named;
  batch->count_ = 1;
  const at::Tensor& first = tensors.front().second;
  if (first.dim() > 0 && std::all_of(tensors.begin(), tensors.end(), [&](const auto& one) {
        return one.second.dim() > 0 && one.second.size(0) == first.size(0);
      }))
    batch->count_ = first.size(0);
  batch->named_ = std::move(tensors);
  return batch;
}

template <class Change>
Batch::Named Batch::changed(const Change& change) const {
  Named all;
  for (const auto& [name, tensor] : named_) all.emplace_back(name, change(tensor));
  return all;
}

std::shared_ptr<const Batch> Batch::weighted(const at::Tensor& weights) const {
  if (kind_ == Kind::named) reject_type("Expected a batch of tokens or examples for weights but received one of named tensors");
  const at::IntArrayRef shape = kind_ == Kind::tokens ? targets_.sizes() : inputs_.sizes().slice(0, 1);
  if (weights.sizes() != shape) reject_range("Expected a weight for each label or example for weights but received another number");
  auto batch = std::shared_ptr<Batch>(new Batch(*this));
  batch->objective_ = weighted_objective(kind_ == Kind::tokens ? weights.masked_fill(targets_.eq(ignored), 0) : weights);
  return batch;
}

std::shared_ptr<const Batch> Batch::preferences(const at::Tensor& reference, PreferenceOptions options) const {
  if (kind_ != Kind::tokens || reference.dim() != 1 || reference.size(0) != rows())
    reject_range("Expected a log-probability for each row of tokens for referenceLogProbabilities but received another number");
  auto batch = std::shared_ptr<Batch>(new Batch(*this));
  batch->objective_ = preference_objective(reference, inputs_.size(1), options);
  return batch;
}

const Batch* Batch::on(at::Device device) const {
  if (this->device() == device) return this;
  if (!found_.elsewhere || found_.elsewhere->device() != device) {
    const c10::InferenceMode off(false);  // gradients use it too
    found_.elsewhere.reset();
    auto copy = std::shared_ptr<Batch>(new Batch(*this));
    copy->named_ = changed([&](const at::Tensor& tensor) { return tensor.to(device); });
    if (inputs_.defined()) copy->inputs_ = inputs_.to(device);
    if (targets_.defined()) copy->targets_ = targets_.to(device);
    if (objective_) copy->objective_ = objective_->on(device);
    found_.elsewhere = std::move(copy);
  }
  return found_.elsewhere.get();
}

Batch Batch::slice(int64_t start, int64_t length) const {
  Batch part = *this;
  if (kind_ == Kind::named) {
    if (length == rows()) return part;
    part.named_ = changed([&](const at::Tensor& tensor) { return tensor.narrow(0, start, length); });
    part.count_ = length;
    return part;
  }
  part.inputs_ = wide(inputs_.narrow(0, start, length));
  part.targets_ = wide(targets_.narrow(0, start, length));
  if (objective_) part.objective_ = objective_->part(start, length);
  part.count_ = 0;
  return part;
}

std::shared_ptr<const Batch> Batch::part(int64_t start, int64_t length) const {
  if (start % rows_together() != 0 || length % rows_together() != 0)
    reject_range("Expected whole pairs of rows, chosen and rejected, for a part of a batch of preferences but received rows " +
                 std::to_string(start) + " to " + std::to_string(start + length));
  auto batch = std::shared_ptr<Batch>(new Batch(*this));
  if (kind_ == Kind::named) {
    if (length == rows()) return batch;
    batch->named_ = changed([&](const at::Tensor& tensor) { return tensor.narrow(0, start, length); });
    batch->count_ = length;
    return batch;
  }
  batch->inputs_ = inputs_.narrow(0, start, length);
  batch->targets_ = targets_.narrow(0, start, length);
  if (objective_) batch->objective_ = objective_->part(start, length);
  batch->count_ = kind_ == Kind::tokens ? kernels::count_others(batch->targets_, ignored) : length;
  return batch;
}

int64_t Batch::byte_length() const {
  int64_t bytes = 0;
  for (const auto& [name, tensor] : named_) bytes += static_cast<int64_t>(tensor.nbytes());
  if (kind_ == Kind::named) return bytes;
  if (objective_)
    for (const auto& tensor : objective_->numbers()) bytes += static_cast<int64_t>(tensor.nbytes());
  return bytes + static_cast<int64_t>(inputs_.nbytes() + targets_.nbytes());
}

uint64_t Batch::digest() const {
  if (found_.digest) return *found_.digest;
  // FNV-1a (Fowler, Noll & Vo) over words, and over the bytes that are left.
  uint64_t hash = 0xcbf29ce484222325u;
  const auto take = [&](uint64_t word) { hash = (hash ^ word) * 0x100000001b3u; };
  const auto take_tensor = [&](const at::Tensor& tensor) {
    if (!tensor.defined()) return;
    for (const int64_t size : tensor.sizes()) take(static_cast<uint64_t>(size));
    const at::Tensor here = tensor.to(at::kCPU).contiguous();
    const auto* bytes = static_cast<const unsigned char*>(here.const_data_ptr());
    size_t i = 0;
    for (uint64_t word; i + sizeof word <= here.nbytes(); i += sizeof word) {
      std::memcpy(&word, bytes + i, sizeof word);
      take(word);
    }
    for (; i < here.nbytes(); i++) take(bytes[i]);
  };
  take_tensor(inputs_);
  take_tensor(targets_);
  for (const auto& [name, tensor] : named_) take_tensor(tensor);
  if (objective_)
    for (const auto& tensor : objective_->numbers()) take_tensor(tensor);
  found_.digest = hash;
  return hash;
}

}  // namespace critical_sharpness
