#pragma once
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/ivalue.h>
#include <ATen/core/stack.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "description.hpp"

namespace critical_sharpness::program {

/// Of numbers and sizes, which no operator computes.
using ScalarFunction = c10::IValue (*)(const std::vector<c10::IValue>& arguments);

/// What an argument is made of when its node runs.
struct Operand {
  enum class Kind { constant, slot, integers, tensors, optional_tensors } kind = Kind::constant;
  c10::IValue constant{};
  Slot slot = -1;
  std::vector<Slot> slots{};
  std::vector<int64_t> values{};  // integers: those whose slot is −1
  /// Where the operator wants a tensor or a floating-point number and the program may have another number.
  enum class Conversion { none, tensor, floating } conversion = Conversion::none;
};

struct Graph;

struct Node {
  enum class Kind {
    operation,
    embedding,   // an operation, or the parameter's rows where the table is one
    scalar,      // a ScalarFunction
    nothing,     // a check of sizes, which inputs have passed
    grad_mode,   // a graph with autograd on or off: operand 0
    autocast,    // a graph under autocast: device, dtype, enabled, cached
    condition,   // one of two graphs, by operand 0
  } kind = Kind::operation;
  std::string name;  // for errors: "aten::linear (models.py, line 89)"
  std::optional<c10::OperatorHandle> operation;
  ScalarFunction scalar = nullptr;
  std::vector<Operand> operands;
  std::vector<Graph> graphs;
  std::vector<Output> outputs;
  std::function<void(const torch::jit::Stack&)> check;  // of an operation's arguments; may be empty
  std::vector<size_t> writes;    // operands
  bool is_attention = false;     // scaled_dot_product_attention
  bool may_alias = false;        // results may share memory with what it reads
  std::vector<Slot> last_reads;  // values that nobody reads after it
};

/// A graph whose nodes are bound to operators.
struct Graph {
  Slot slots = 0;
  std::vector<Slot> inputs{}, outputs{};
  std::vector<Node> nodes{};
  std::vector<Slot> unread{};  // inputs that nobody reads
};

struct BindOptions {
  bool dropout = false;  // false: off, whatever the program says
  at::Device device = at::kCPU;
};
/// Throws as make_program.
Graph bind(const GraphDescription& description, const BindOptions& options);

/// Of each of the graph's inputs, whether a node writes to its memory, in sub-graphs or through views too. Throws as make_program
/// where it is a parameter's.
std::vector<bool> written_inputs(const Graph& graph, const std::vector<bool>& is_parameter);

/// The part of a graph that one of its outputs needs, with the same slots and inputs. Throws as make_program where that part reads
/// an input that `may_not_read` has.
Graph only_for(const Graph& graph, size_t output, const std::vector<bool>& may_not_read);

/// Fills in `last_reads` and `unread`.
void find_last_reads(Graph& graph);

/// The function of sizes and numbers that a target names ("_operator.mul", "torch.sym_max"); null: none.
ScalarFunction scalar_function(const std::string& target);

[[noreturn]] void reject_program(const std::string& expected, const std::string& received);

}  // namespace critical_sharpness::program
