#pragma once
#include "micro_batches.hpp"
#include "model.hpp"
#include "ranks/gathered_view.hpp"
#include "ranks/gradient_exchange.hpp"

namespace critical_sharpness {

/// What a rank takes a gradient with.
struct ShardedPass {
  const Network& network;
  const Layout& layout;
  const std::vector<at::Tensor>& weights;  // what this rank keeps of them
  at::ScalarType dtype;                    // that is computed in
  Scratch& scratch;
};

/// As Model::differentiate, over the ranks of a group: each takes its micro-batches, a layer's weights are gathered where they are
/// read, on the way back once more, and its gradient goes to the ranks that keep it. `sink` takes what is kept here, with the bits
/// of one process. Returns the loss.
double differentiate_shards(const ShardedPass& pass, const Batch& batch, const PassOptions& options, const GradientSink& sink);

}  // namespace critical_sharpness
