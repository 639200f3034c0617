#pragma once
#include <algorithm>
#include <vector>

#include "batch.hpp"
#include "cancellation.hpp"
#include "network/network.hpp"

namespace critical_sharpness {

struct PassOptions {
  int64_t micro_batch = 0;  // rows at a time; 0 = all
  Cancellation cancel;
  bool float32 = false;    // computed in float32 whatever the model's arithmetic is, unless that is float64
  bool recompute = false;  // a gradient keeps each layer's input alone, and computes its activations again
};

/// Rows of a batch.
struct RowRange {
  int64_t start, length;
};

/// A batch's micro-batches: one, where the network's sums do not add up. Rows that belong together stay so, and what would be left at
/// the end and is too few for the network joins the last one.
inline std::vector<RowRange> micro_batches(const Network& network, const Batch& batch, const PassOptions& options) {
  const int64_t rows = batch.rows(), together = batch.rows_together();
  const int64_t wanted = network.adds_over_rows() ? options.micro_batch : 0;
  const int64_t least = network.least_rows();
  const int64_t size = wanted > 0 ? std::max({wanted - wanted % together, together, least}) : rows;
  std::vector<RowRange> parts;
  for (int64_t start = 0; start < rows; start += parts.back().length) {
    const int64_t left = rows - start;
    parts.push_back({start, left - size < least ? left : size});
  }
  return parts;
}

/// Calls body(part) for every micro-batch.
template <class Body>
void for_each_micro_batch(const Network& network, const Batch& batch, const PassOptions& options, const Body& body) {
  for (const auto& [start, length] : micro_batches(network, batch, options)) {
    options.cancel.check();
    body(batch.slice(start, length));
  }
}

}  // namespace critical_sharpness
