#include "delta.hpp"

#include <ATen/ops/mm.h>

#include <algorithm>
#include <cstring>

#include "chunks.hpp"
#include "device.hpp"
#include "formula.hpp"

namespace critical_sharpness::kernels {
namespace {

template <class... Cases>
struct Overloaded : Cases... {
  using Cases::operator()...;
};
template <class... Cases>
Overloaded(Cases...) -> Overloaded<Cases...>;

int64_t element_size(const Delta& delta) { return like(delta).scalar_type() == at::kDouble ? 8 : 4; }

/// Numbers of each, 0 for one that is zero.
std::vector<int64_t> lengths_of(const std::vector<Delta>& deltas) {
  std::vector<int64_t> lengths;
  for (const auto& d : deltas) lengths.push_back(is_zero(d) ? 0 : like(d).numel());
  return lengths;
}

/// Calls body(i, Δᵢ in parts) for those that are made whole, one after the other, so that no two of them are held at once.
/// Returns the others, with nothing in their places.
template <class Body>
std::vector<Delta> one_by_one(std::vector<Delta> deltas, const Cancellation& cancel, const Body& body) {
  for (size_t i = 0; i < deltas.size(); i++) {
    if (!is_whole(deltas[i])) continue;
    cancel.check();
    body(i, in_parts(deltas[i], cancel));
    deltas[i] = Delta();
  }
  return deltas;
}

}  // namespace

Delta in_parts(const Delta& delta, const Cancellation& cancel) {
  const auto* whole = std::get_if<WholeDelta>(&delta);
  return whole ? whole->make(cancel) : delta;
}

Delta low_rank_delta(const at::Tensor& weight, LowRank factors, std::optional<int64_t> first) {
  const auto make = [factors, first, length = weight.numel()](const Cancellation&) -> Delta {
    const at::Tensor numbers = at::mm(factors.left, factors.right).mul_(factors.scale);
    return StoredDelta{first ? numbers.view({-1}).narrow(0, *first, length).clone() : numbers};
  };
  return WholeDelta{weight, make, std::move(factors)};
}

const at::Tensor& like(const Delta& delta) {
  return std::visit(Overloaded{[](const StoredDelta& d) -> const at::Tensor& { return d.numbers; },
                               [](std::monostate) -> const at::Tensor& { TORCH_INTERNAL_ASSERT(false); },
                               [](const auto& d) -> const at::Tensor& { return d.weight; }},
                    delta);
}

Delta narrow(const Delta& delta, int64_t start, int64_t length) {
  const auto part = [&](at::Tensor& tensor) {
    if (tensor.defined()) tensor = tensor.view({-1}).narrow(0, start, length);
  };
  Delta narrowed = in_parts(delta);
  std::visit(Overloaded{[&](StoredDelta& d) { part(d.numbers); },
                        [&](FormulaDelta& d) {
                          for (auto* tensor : {&d.weight, &d.first, &d.second}) part(*tensor);
                        },
                        [](auto&) {}},
             narrowed);
  return narrowed;
}

const void* read(const Delta& delta, int64_t start, int64_t length, void* buffer) {
  if (const auto* stored = std::get_if<StoredDelta>(&delta))
    return static_cast<const char*>(stored->numbers.const_data_ptr()) + start * element_size(delta);
  make_chunk(buffer, std::get<FormulaDelta>(delta), start, length);
  return buffer;
}

void write(const std::vector<at::Tensor>& out, const std::vector<Delta>& deltas, const Cancellation& cancel) {
  if (out.empty()) return;
  const auto rest = one_by_one(deltas, cancel, [&](size_t i, const Delta& made) {
    if (out[i].defined()) write({out[i]}, {made}, cancel);
  });
  for (const auto& t : out)
    if (t.defined()) CS_ON_CUDA(t, write(out, rest));
  auto lengths = lengths_of(rest);
  for (size_t i = 0; i < out.size(); i++)
    if (!out[i].defined()) lengths[i] = 0;
  for_each_chunk(chunks_of(lengths), cancel, [&](const Chunk& c, size_t) {
    const int64_t element = element_size(rest[c.tensor]);
    void* to = static_cast<char*>(out[c.tensor].mutable_data_ptr()) + c.start * element;
    const void* numbers = read(rest[c.tensor], c.start, c.length, to);
    if (numbers != to) std::memcpy(to, numbers, static_cast<size_t>(c.length * element));
  });
}

void step(const std::vector<Delta>& deltas, double learning_rate, const Cancellation& cancel) {
  const auto rest = one_by_one(deltas, cancel, [&](size_t, const Delta& made) { step({made}, learning_rate, cancel); });
  const auto first = std::find_if_not(rest.begin(), rest.end(), is_zero);
  if (first == rest.end()) return;
  CS_ON_CUDA(like(*first), step(rest, learning_rate));
  for_each_chunk(chunks_of(lengths_of(rest)), cancel, [&](const Chunk& c, size_t) {
    step_chunk(std::get<FormulaDelta>(rest[c.tensor]), learning_rate, c.start, c.length);
  });
}

}  // namespace critical_sharpness::kernels
