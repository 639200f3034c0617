#include "delta.hpp"

#include <cstring>

#include "chunks.hpp"
#include "delta_loops.hpp"
#include "device.hpp"
#include "optimize.hpp"

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

}  // namespace

const at::Tensor& like(const Delta& delta) {
  return std::visit(Overloaded{[](const StoredDelta& d) -> const at::Tensor& { return d.numbers; },
                               [](const AdamWDelta& d) -> const at::Tensor& { return d.m; },
                               [](const SgdDelta& d) -> const at::Tensor& { return d.weight; },
                               [](std::monostate) -> const at::Tensor& { TORCH_INTERNAL_ASSERT(false); }},
                    delta);
}

Delta narrow(const Delta& delta, int64_t start, int64_t length) {
  const auto part = [&](at::Tensor& tensor) {
    if (tensor.defined()) tensor = tensor.view({-1}).narrow(0, start, length);
  };
  Delta narrowed = delta;
  std::visit(Overloaded{[&](StoredDelta& d) { part(d.numbers); },
                        [&](AdamWDelta& d) {
                          for (auto* tensor : {&d.weight, &d.m, &d.v}) part(*tensor);
                        },
                        [&](SgdDelta& d) {
                          for (auto* tensor : {&d.weight, &d.buffer, &d.gradient}) part(*tensor);
                        },
                        [](std::monostate) {}},
             narrowed);
  return narrowed;
}

const void* read(const Delta& delta, int64_t start, int64_t length, void* buffer) {
  if (const auto* stored = std::get_if<StoredDelta>(&delta))
    return static_cast<const char*>(stored->numbers.const_data_ptr()) + start * element_size(delta);
  if (const auto* adamw = std::get_if<AdamWDelta>(&delta)) make_chunk(buffer, *adamw, start, length);
  else make_chunk(buffer, std::get<SgdDelta>(delta), start, length);
  return buffer;
}

void write(const std::vector<at::Tensor>& out, const std::vector<Delta>& deltas, const Cancellation& cancel) {
  if (out.empty()) return;
  for (const auto& t : out)
    if (t.defined()) CS_ON_CUDA(t, write(out, deltas));
  auto lengths = lengths_of(deltas);
  for (size_t i = 0; i < out.size(); i++)
    if (!out[i].defined()) lengths[i] = 0;
  for_each_chunk(chunks_of(lengths), cancel, [&](const Chunk& c, size_t) {
    const int64_t element = element_size(deltas[c.tensor]);
    void* to = static_cast<char*>(out[c.tensor].mutable_data_ptr()) + c.start * element;
    const void* numbers = read(deltas[c.tensor], c.start, c.length, to);
    if (numbers != to) std::memcpy(to, numbers, static_cast<size_t>(c.length * element));
  });
}

void step(const std::vector<Delta>& deltas, double learning_rate, const Cancellation& cancel) {
  if (deltas.empty()) return;
  CS_ON_CUDA(like(deltas.front()), step(deltas, learning_rate));
  for_each_chunk(chunks_of(lengths_of(deltas)), cancel, [&](const Chunk& c, size_t) {
    std::visit(Overloaded{[&](const AdamWDelta& d) { step_chunk(d, learning_rate, c.start, c.length); },
                          [&](const SgdDelta& d) { step_chunk(d, learning_rate, c.start, c.length); },
                          [](const auto&) { TORCH_INTERNAL_ASSERT(false); }},
               deltas[c.tensor]);
  });
}

}  // namespace critical_sharpness::kernels
