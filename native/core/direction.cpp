#include "direction.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "errors.hpp"
#include "kernels/chunks.hpp"
#include "kernels/reduce.hpp"
#include "parameter_vector.hpp"

namespace critical_sharpness {
namespace {

double total_dot(const Direction& a, const Direction& b) {
  const Layout& layout = *a.layout();
  std::vector<int64_t> lengths;
  for (size_t i = 0; i < layout.size(); i++) lengths.push_back(a.has(i) && b.has(i) ? layout.parameters[i].numel() : 0);
  const auto reader = [](const Direction& d) {
    return [&d](size_t i, int64_t start, int64_t length, void* buffer) { return d.read(i, start, length, buffer); };
  };
  const auto sums = kernels::dots(layout.dtype, lengths, reader(a), reader(b));
  return std::accumulate(sums.begin(), sums.end(), 0.0);
}

}  // namespace

double Direction::dot(const Direction& other) const {
  require_same_layout(*layout(), *other.layout(), "the other direction");
  require_current();
  other.require_current();
  return total_dot(*this, other);
}

double Direction::norm() const { return std::sqrt(dot(*this)); }

ParameterVector store(const Direction& direction) {
  direction.require_current();
  const auto& layout = direction.layout();
  auto tensors = ParameterVector::empty(layout).tensors();
  for (size_t i = 0; i < tensors.size(); i++)
    if (!direction.has(i)) tensors[i] = at::Tensor();
  const auto element = static_cast<int64_t>(c10::elementSize(layout->dtype));
  kernels::for_each_chunk(kernels::chunks_of(tensors), [&](const kernels::Chunk& c, size_t) {
    void* out = static_cast<char*>(tensors[c.tensor].mutable_data_ptr()) + c.start * element;
    const void* numbers = direction.read(c.tensor, c.start, c.length, out);
    if (numbers != out) std::memcpy(out, numbers, static_cast<size_t>(c.length * element));
  });
  return {layout, std::move(tensors)};
}

const ParameterVector& require_stored(const Direction& direction, const char* what) {
  if (const ParameterVector* stored = direction.as_stored()) return *stored;
  throw InputError(InputError::Kind::state, "ERR_DIRECTION_NOT_STORED",
                   "Expected a stored direction for " + std::string(what) +
                       " but received one that is made where it is used: the optimizer's direction() without stored: false is one");
}

std::vector<uint8_t> read_bytes(const Direction& direction, size_t parameter, int64_t offset, int64_t length) {
  direction.require_current();
  const Layout& layout = *direction.layout();
  const auto element = static_cast<int64_t>(c10::elementSize(layout.dtype));
  const int64_t total = layout.parameters[parameter].numel() * element, first = std::clamp<int64_t>(offset, 0, total);
  const int64_t end = first + std::clamp<int64_t>(length, 0, total - first);
  std::vector<uint8_t> bytes(static_cast<size_t>(end - first), 0);
  if (!direction.has(parameter)) return bytes;
  kernels::ChunkBuffer buffer;
  for (int64_t at = first; at < end;) {
    const int64_t start = at / element, count = std::min(kernels::chunk_length, (end + element - 1) / element - start);
    const auto* numbers = static_cast<const uint8_t*>(direction.read(parameter, start, count, buffer.data));
    const int64_t stop = std::min(end, (start + count) * element);
    std::memcpy(bytes.data() + (at - first), numbers + (at - start * element), static_cast<size_t>(stop - at));
    at = stop;
  }
  return bytes;
}

}  // namespace critical_sharpness
