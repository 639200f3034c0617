#include "direction.hpp"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "errors.hpp"
#include "parameter_vector.hpp"
#include "ranks/gathered_bytes.hpp"
#include "ranks/group.hpp"
#include "ranks/sums.hpp"
#include "tensor_bytes.hpp"

namespace critical_sharpness {
namespace {

/// One rank alone must not leave a sum that the others are in.
Cancellation in_group(const Layout& layout, const Cancellation& cancel) { return layout.group ? Cancellation() : cancel; }

std::vector<kernels::Delta> deltas_of(const Direction& direction) {
  std::vector<kernels::Delta> deltas;
  for (size_t i = 0; i < direction.layout()->size(); i++) deltas.push_back(direction.delta(i));
  return deltas;
}

/// ‖scale·L·R‖² = scale²·tr(LᵀL·RRᵀ), which needs no memory of the product's size.
double squared_norm(const kernels::LowRank& factors) {
  const at::Tensor left = factors.left.to(at::kDouble), right = factors.right.to(at::kDouble);
  return factors.scale * factors.scale * left.t().mm(left).mul(right.mm(right.t())).sum().item<double>();
}

class Assembled final : public Direction {
 public:
  Assembled(std::shared_ptr<const Layout> layout, std::vector<kernels::Delta> parts)
      : layout_(std::move(layout)), parts_(std::move(parts)) {}

  const std::shared_ptr<const Layout>& layout() const override { return layout_; }
  bool has(size_t parameter) const override { return !kernels::is_zero(parts_[parameter]); }
  kernels::Delta delta(size_t parameter) const override { return parts_[parameter]; }
  std::shared_ptr<const Direction> masked(const std::vector<bool>& keep) const override {
    auto parts = parts_;
    for (size_t i = 0; i < parts.size(); i++)
      if (!keep.at(i)) parts[i] = kernels::Delta();
    return std::make_shared<Assembled>(layout_, std::move(parts));
  }
  int64_t byte_length() const override {
    int64_t bytes = 0;
    for (const auto& part : parts_) {
      if (const auto* factors = kernels::low_rank(part))
        bytes += static_cast<int64_t>(factors->left.nbytes() + factors->right.nbytes());
      else if (!kernels::is_zero(part)) bytes += static_cast<int64_t>(kernels::like(part).nbytes());
    }
    return bytes;
  }

 private:
  std::shared_ptr<const Layout> layout_;
  std::vector<kernels::Delta> parts_;
};

}  // namespace

std::shared_ptr<const Direction> assembled_direction(std::shared_ptr<const Layout> layout, std::vector<kernels::Delta> parts) {
  TORCH_INTERNAL_ASSERT(parts.size() == layout->size());
  std::vector<at::Tensor> stored;
  for (size_t i = 0; i < parts.size(); i++) {
    const auto run = layout->run(i);
    if (!run || kernels::is_zero(parts[i])) continue;
    if (const auto* factors = kernels::low_rank(parts[i])) {
      parts[i] = kernels::low_rank_delta(kernels::like(parts[i]), *factors, run->start);
      continue;
    }
    at::Tensor& numbers = std::get<kernels::StoredDelta>(parts[i]).numbers;
    numbers = copied_run(numbers, *run);
  }
  for (const auto& part : parts) {
    if (kernels::low_rank(part)) return std::make_shared<Assembled>(std::move(layout), std::move(parts));
    stored.push_back(kernels::is_zero(part) ? at::Tensor() : std::get<kernels::StoredDelta>(part).numbers);
  }
  return std::make_shared<ParameterVector>(std::move(layout), std::move(stored));
}

double Direction::dot(const Direction& other, const Cancellation& cancel) const {
  require_same_layout(*layout(), *other.layout(), "the other direction");
  require_current();
  other.require_current();
  return together(layout()->group.get(), {"dot", {}}, cancel, [&] {
    const auto sums = dots(*layout(), deltas_of(*this), deltas_of(other), in_group(*layout(), cancel));
    return std::accumulate(sums.begin(), sums.end(), 0.0);
  });
}

double Direction::norm(const Cancellation& cancel) const {
  require_current();
  auto deltas = deltas_of(*this);
  double squares = 0;
  for (auto& delta : deltas) {
    const auto* factors = kernels::low_rank(delta);
    if (!factors) continue;
    squares += squared_norm(*factors);
    delta = kernels::Delta();
  }
  return together(layout()->group.get(), {"norm", {}}, cancel, [&] {
    const auto sums = dots(*layout(), deltas, deltas, in_group(*layout(), cancel));
    return std::sqrt(squares + std::accumulate(sums.begin(), sums.end(), 0.0));
  });
}

ParameterVector store(const Direction& direction, const Cancellation& cancel) {
  direction.require_current();
  const Layout& layout = *direction.layout();
  std::vector<at::Tensor> tensors(layout.size());
  for (size_t i = 0; i < tensors.size(); i++)
    if (direction.has(i)) tensors[i] = at::empty(layout.local_shape(i), layout.options());
  kernels::write(tensors, deltas_of(direction), cancel);
  return {direction.layout(), std::move(tensors)};
}

const ParameterVector& require_stored(const Direction& direction, const char* what) {
  if (const ParameterVector* stored = direction.as_stored()) return *stored;
  throw InputError(InputError::Kind::state, "ERR_DIRECTION_NOT_STORED",
                   "Expected a stored direction for " + std::string(what) +
                       " but received one that is made where it is used: the optimizer's direction() without stored: false is one");
}

namespace {

/// Bytes of what is kept here.
std::vector<uint8_t> local_bytes(const Layout& layout, const kernels::Delta& delta, size_t parameter, int64_t offset, int64_t length) {
  if (const auto* stored = std::get_if<kernels::StoredDelta>(&delta)) return bytes_of(stored->numbers, offset, length);
  const auto element = static_cast<int64_t>(c10::elementSize(layout.dtype));
  const int64_t total = layout.local_numel(parameter) * element, first = std::clamp<int64_t>(offset, 0, total);
  const int64_t count = std::clamp<int64_t>(length, 0, total - first);
  if (kernels::is_zero(delta)) return std::vector<uint8_t>(static_cast<size_t>(count), 0);
  const int64_t start = first / element, end = (first + count + element - 1) / element;
  const at::Tensor numbers = at::empty({end - start}, layout.options());
  kernels::write({numbers}, {kernels::narrow(delta, start, end - start)});
  return bytes_of(numbers, first - start * element, count);
}

}  // namespace

std::vector<uint8_t> read_bytes(const Direction& direction, size_t parameter, int64_t offset, int64_t length) {
  direction.require_current();
  const Layout& layout = *direction.layout();
  const kernels::Delta delta = direction.delta(parameter);
  const Call call{"read", {{"parameter", parameter}, {"place", static_cast<uint64_t>(offset)}, {"length", static_cast<uint64_t>(length)}}};
  return together(layout.group.get(), call, {}, [&] {
    return gathered_bytes(layout, parameter, static_cast<int64_t>(c10::elementSize(layout.dtype)), offset, length,
                          [&](int64_t from, int64_t count) { return local_bytes(layout, delta, parameter, from, count); });
  });
}

}  // namespace critical_sharpness
