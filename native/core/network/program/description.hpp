#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "network/network.hpp"

namespace critical_sharpness::program {

// A program of operators as torch.export writes it, before it is bound to the operators of this libtorch. Nothing in it has been
// checked but its form.

/// A value's number in its graph; −1: none.
using Slot = int32_t;

struct GraphDescription;

struct SlotReference {
  Slot slot = -1;
};
/// Where `slots` has one, that value stands in the number's place. `slots`: empty, or as many as numbers.
struct Integers {
  std::vector<int64_t> values;
  std::vector<Slot> slots;
};
/// A list of tensors.
struct SlotList {
  std::vector<Slot> slots;
};

using ArgumentValue =
    std::variant<std::monostate, SlotReference, int64_t, double, bool, std::string, at::ScalarType, at::Device, at::Layout, at::MemoryFormat,
                 Integers, std::vector<double>, std::vector<bool>, SlotList, std::shared_ptr<const GraphDescription>>;

struct ArgumentDescription {
  std::string name;  // empty: by its place
  ArgumentValue value;
};

/// Where a result goes. A list's tensors have a slot each.
struct Output {
  bool is_list = false;
  std::vector<Slot> slots;
};

struct NodeDescription {
  std::string target;  // "torch.ops.aten.linear.default"
  std::string where;   // "models.py, line 89", or empty
  std::vector<ArgumentDescription> arguments;
  std::vector<Output> outputs;
};

struct GraphDescription {
  Slot slots = 0;  // how many there are
  std::vector<Slot> inputs, outputs;
  std::vector<NodeDescription> nodes;
};

struct Size {
  int64_t fixed = 0;
  int32_t symbol = -1;  // ≥ 0: any size, the same wherever the symbol stands
};
struct InputDescription {
  std::string name;
  at::ScalarType dtype = at::kFloat;
  std::vector<Size> sizes;
};
struct Symbol {
  int64_t least = 0, most = INT64_MAX;
};

/// What fills an input of the graph: a place among parameters, stored tensors or inputs.
struct Feed {
  enum class Kind { parameter, stored, input } kind = Kind::input;
  size_t index = 0;
};

/// What the outputs are: the loss, a number; the mean of what rows give on their own, or a number for each row; or a sum and a
/// weight, whose quotient is the loss.
enum class Reduction { loss, mean_of_rows, sum_and_weight };

struct ProgramDescription {
  std::vector<ParameterSpec> parameters;
  std::vector<at::Tensor> stored;  // buffers and constants
  std::vector<InputDescription> inputs;
  std::vector<Symbol> symbols;
  GraphDescription graph;
  std::vector<Feed> feeds;  // of the graph's inputs
  Reduction reduction = Reduction::loss;
  std::optional<uint64_t> dropout_seed;  // none: dropout is off
  at::Device device = at::kCPU;          // where it runs, whatever device it was exported on
};

}  // namespace critical_sharpness::program

namespace critical_sharpness {

/// Binds the program to this libtorch's operators. Throws InputError with the code ERR_PROGRAM, naming operator and source line,
/// for what is not run: anything but the operators of program/operators.cpp, writes to parameters, random numbers.
std::unique_ptr<Network> make_program(program::ProgramDescription description);

}  // namespace critical_sharpness
