#pragma once
#include <unordered_set>

#include "cancellation.hpp"
#include "graph.hpp"
#include "parameter_view.hpp"

namespace critical_sharpness::program {

/// A value of a running graph. A parameter is read through the view anew for each use.
struct Value {
  c10::IValue value;
  int64_t parameter = -1;
};

/// What all graphs of one pass have in common.
struct Pass {
  ParameterView* view;  // null: no node reads a parameter
  const Cancellation& cancel;
  /// Memory that no node may write to: of weights, inputs and constants.
  std::unordered_set<const void*> guarded;
};

/// The graph's outputs. Throws InputError ERR_PROGRAM, naming the node, where an operator refuses what it is given.
std::vector<c10::IValue> run(const Graph& graph, Pass& pass, std::vector<Value> inputs);

}  // namespace critical_sharpness::program
