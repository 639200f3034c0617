#include <c10/util/Exception.h>

#include <algorithm>
#include <map>

#include "errors.hpp"
#include "operands.hpp"
#include "operators.hpp"

namespace critical_sharpness::program {

void reject_program(const std::string& expected, const std::string& received) {
  throw InputError(InputError::Kind::state, "ERR_PROGRAM", "Expected " + expected + " for the program but received " + received);
}

namespace {

using c10::TypeKind;

constexpr int most_nested = 32;

std::string with_line(const std::string& target, const std::string& where) { return where.empty() ? target : target + " (" + where + ")"; }

/// The operator's name and overload in "torch.ops.aten.add.Tensor"; none for other targets.
std::optional<c10::OperatorName> operator_name(const std::string& target) {
  const std::string prefix = "torch.ops.";
  if (target.compare(0, prefix.size(), prefix) != 0) return std::nullopt;
  const std::string rest = target.substr(prefix.size());
  const size_t first = rest.find('.'), last = rest.rfind('.');
  if (first == std::string::npos || first == last) return std::nullopt;
  const std::string overload = rest.substr(last + 1);
  return c10::OperatorName(rest.substr(0, first) + "::" + rest.substr(first + 1, last - first - 1), overload == "default" ? "" : overload);
}

Operand* operand_named(Node& node, const std::string& name) {
  const auto index = node.operation->schema().argumentIndexWithName(name);
  return index ? &node.operands[static_cast<size_t>(*index)] : nullptr;
}

[[noreturn]] void reject_random(const Node& node) {
  reject_program("a loss that its inputs determine (pass the noise as an input)", node.name);
}

/// Dropout is off, or stays as the program has it. Every other use of random numbers is refused.
void decide_randomness(Node& node, bool keep) {
  const std::string& name = node.operation->schema().name();
  const bool is_dropout = name.find("dropout") != std::string::npos;
  Operand* const train = is_dropout ? operand_named(node, "train") : nullptr;
  Operand* const probability = operand_named(node, "dropout_p");
  const bool is_recurrent = name == "aten::lstm" || name == "aten::gru" || name == "aten::rnn_tanh" || name == "aten::rnn_relu";
  Operand* const between_layers = is_recurrent ? operand_named(node, "dropout") : nullptr;
  if (!keep) {
    if (train) *train = constant(false);
    for (Operand* operand : {probability, between_layers})
      if (operand) *operand = constant(0.0);
  }
  if (!train && !probability && !between_layers && node.operation->hasTag(at::Tag::nondeterministic_seeded)) reject_random(node);
}

void find_writes(Node& node) {
  const auto written = written_arguments(node.operation->schema());
  node.writes = written.always;
  if (written.statistics_flag) {
    const Operand& flag = node.operands[*written.statistics_flag];
    const bool is_off = flag.kind == Operand::Kind::constant && flag.constant.isBool() && !flag.constant.toBool();
    if (!is_off) node.writes.insert(node.writes.end(), written.statistics.begin(), written.statistics.end());
  }
  node.may_alias = may_return_argument(node.operation->schema());
}

void bind_operation(Node& node, const NodeDescription& description, const OperandMaker& operand, const BindOptions& options) {
  const auto name = operator_name(description.target);
  if (name) node.operation = c10::Dispatcher::singleton().findSchema(*name);
  const bool known = node.operation && node.operation->hasSchema();
  if (known && !is_allowed(node.operation->schema()) && node.operation->hasTag(at::Tag::nondeterministic_seeded)) reject_random(node);
  if (!known || !is_allowed(node.operation->schema()))
    reject_program("operators of PyTorch's own (aten) that only compute", node.name);
  const c10::FunctionSchema& schema = node.operation->schema();
  std::map<std::string, const ArgumentValue*> given;
  for (const auto& argument : description.arguments)
    if (!given.emplace(argument.name, &argument.value).second) reject_program("each argument once at " + node.name, "\"" + argument.name + "\" twice");
  for (const auto& parameter : schema.arguments()) {
    const auto found = given.find(parameter.name());
    if (found != given.end()) {
      node.operands.push_back(operand(*found->second, parameter.real_type(), parameter.N()));
      given.erase(found);
    } else if (parameter.default_value()) {
      node.operands.push_back(constant(*parameter.default_value()));
    } else {
      reject_program("an argument \"" + parameter.name() + "\" at " + node.name, "none");
    }
  }
  if (!given.empty()) reject_program("arguments that this libtorch's operator has at " + node.name, "\"" + given.begin()->first + "\"");
  if (node.outputs.size() > schema.returns().size()) reject_program("as many results as the operator has at " + node.name, "more");
  for (size_t i = 0; i < node.outputs.size(); i++)
    if (node.outputs[i].is_list != (schema.returns()[i].real_type()->kind() == TypeKind::ListType))
      reject_program("a list of results where the operator has one at " + node.name, "another result");
  decide_randomness(node, options.dropout);
  find_writes(node);
  node.is_attention = schema.name() == "aten::scaled_dot_product_attention";
  node.check = shape_check(schema, node.name);
  if (schema.name() != "aten::embedding") return;
  for (const char* unusual : {"scale_grad_by_freq", "sparse"})
    if (const Operand* flag = operand_named(node, unusual); flag->kind != Operand::Kind::constant || flag->constant.toBool())
      reject_program("a dense embedding, each row's gradient as it is,", std::string(unusual) + " at " + node.name);
  node.kind = Node::Kind::embedding;
}

/// Places of the graphs among the arguments, and of the first value that is passed on to them.
struct Region {
  Node::Kind kind;
  std::vector<size_t> graphs;
  size_t passed;
};
const std::map<std::string, Region>& regions() {
  static const std::map<std::string, Region> all{
      {"torch.ops.higher_order.wrap_with_set_grad_enabled", {Node::Kind::grad_mode, {1}, 2}},
      {"torch.ops.higher_order.wrap_with_autocast", {Node::Kind::autocast, {4}, 5}},
      {"torch.ops.higher_order.cond", {Node::Kind::condition, {1, 2}, 3}},
  };
  return all;
}

Graph bind_graph(const GraphDescription& description, const BindOptions& options, int depth);

void bind_region(Node& node, const NodeDescription& description, const Region& region, const OperandMaker& operand, const BindOptions& options,
                 int depth) {
  node.kind = region.kind;
  size_t passed = 0;
  for (size_t i = 0; i < description.arguments.size(); i++) {
    const ArgumentValue& value = description.arguments[i].value;
    if (std::find(region.graphs.begin(), region.graphs.end(), i) != region.graphs.end()) {
      const auto* graph = std::get_if<std::shared_ptr<const GraphDescription>>(&value);
      if (!graph || !*graph) reject_program("a graph at " + node.name, "another argument");
      node.graphs.push_back(bind_graph(**graph, options, depth + 1));
      continue;
    }
    node.operands.push_back(operand(value, nullptr));
    if (i < region.passed) continue;
    const Operand& last = node.operands.back();
    passed += last.kind == Operand::Kind::tensors ? last.slots.size() : 1;
  }
  if (node.kind == Node::Kind::autocast) node.operands.at(0) = constant(c10::DeviceTypeName(options.device.type(), /*lower_case=*/true));
  if (node.graphs.size() != region.graphs.size()) reject_program("graphs at " + node.name, "fewer");
  for (const Graph& graph : node.graphs)
    if (graph.inputs.size() != passed) reject_program("as many values as the graph takes at " + node.name, std::to_string(passed));
}

Node bind_node(const NodeDescription& description, Slot slots, const BindOptions& options, int depth) {
  Node node;
  const auto name = operator_name(description.target);
  node.name = with_line(name ? name->name : description.target, description.where);
  node.outputs = description.outputs;
  const OperandMaker operand(slots, options.device, node.name);
  for (const auto& output : node.outputs)
    for (const Slot slot : output.slots)
      if (slot >= 0) operand.checked(slot);
  const std::string& target = description.target;
  if (const auto region = regions().find(target); region != regions().end()) {
    bind_region(node, description, region->second, operand, options, depth);
  } else if (const ScalarFunction scalar = scalar_function(target)) {
    node.kind = Node::Kind::scalar;
    node.scalar = scalar;
    for (const auto& argument : description.arguments) node.operands.push_back(operand(argument.value, nullptr));
  } else if (target.compare(0, 34, "torch.ops.aten.sym_constrain_range") == 0) {
    node.kind = Node::Kind::nothing;
  } else {
    bind_operation(node, description, operand, options);
  }
  return node;
}

Graph bind_graph(const GraphDescription& description, const BindOptions& options, int depth) {
  if (depth > most_nested) reject_program("graphs within graphs to a depth of " + std::to_string(most_nested), "deeper ones");
  Graph graph{description.slots, description.inputs, description.outputs};
  const OperandMaker operand(graph.slots, options.device, "the graph's inputs and outputs");
  for (const Slot slot : graph.inputs) operand.checked(slot);
  for (const Slot slot : graph.outputs)
    if (slot >= 0) operand.checked(slot);
  for (const auto& node : description.nodes) graph.nodes.push_back(bind_node(node, graph.slots, options, depth));
  find_last_reads(graph);
  return graph;
}

}  // namespace

Graph bind(const GraphDescription& description, const BindOptions& options) { return bind_graph(description, options, 0); }

}  // namespace critical_sharpness::program
