#pragma once
#include <algorithm>

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

/// Calls body(part) for every micro-batch: one, where the network's sums do not add up. Rows that belong together stay so, and what
/// would be left at the end and is too few for the network joins the last one.
template <class Body>
void for_each_micro_batch(const Network& network, const Batch& batch, const PassOptions& options, const Body& body) {
  const int64_t rows = batch.rows(), together = batch.rows_together();
  const int64_t wanted = network.adds_over_rows() ? options.micro_batch : 0;
  const int64_t least = network.least_rows();
  const int64_t size = wanted > 0 ? std::max({wanted - wanted % together, together, least}) : rows;
  for (int64_t start = 0; start < rows;) {
    options.cancel.check();
    const int64_t left = rows - start, length = left - size < least ? left : size;
    body(batch.slice(start, length));
    start += length;
  }
}

}  // namespace critical_sharpness
