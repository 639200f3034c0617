#include <ATen/core/jit_type.h>
#include <ATen/core/List.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <map>

#include "errors.hpp"
#include "graph.hpp"
#include "operators.hpp"

namespace critical_sharpness::program {

void reject_program(const std::string& expected, const std::string& received) {
  throw InputError(InputError::Kind::state, "ERR_PROGRAM", "Expected " + expected + " for the program but received " + received);
}

namespace {

using c10::TypeKind;

constexpr int most_nested = 32;

std::string with_line(const std::string& target, const std::string& where) { return where.empty() ? target : target + " (" + where + ")"; }

/// A type without its "or none".
c10::TypePtr bare(c10::TypePtr type) {
  while (const auto optional = type->cast<c10::OptionalType>()) type = optional->getElementType();
  return type;
}

Operand constant(c10::IValue value) { return {Operand::Kind::constant, std::move(value)}; }

template <class Item, class Source>
c10::IValue list_of(const std::vector<Source>& values) {
  c10::List<Item> list;
  list.reserve(values.size());
  for (const auto value : values) list.push_back(static_cast<Item>(value));
  return list;
}

/// Makes operands of an argument's value for a type of the operator's schema. Null: without a schema, as it is.
class Binder {
 public:
  Binder(Slot slots, const BindOptions& options, std::string name) : slots_(slots), options_(options), name_(std::move(name)) {}

  Operand operator()(const ArgumentValue& value, const c10::TypePtr& declared, std::optional<int32_t> length = std::nullopt) const {
    const c10::TypePtr type = declared ? bare(declared) : nullptr;
    return std::visit([&](const auto& v) { return make(v, type, declared, length); }, value);
  }

  Slot checked(Slot slot) const {
    if (slot < 0 || slot >= slots_) reject_program("values that the graph has", "another one at " + name_);
    return slot;
  }

 private:
  [[noreturn]] void reject(const char* received, const c10::TypePtr& type) const {
    reject_program((type ? type->annotation_str() : "another argument") + " at " + name_, received);
  }
  static bool is(const c10::TypePtr& type, TypeKind kind) { return type && type->kind() == kind; }
  static bool is_list_of(const c10::TypePtr& type, TypeKind kind) {
    const auto list = type ? type->cast<c10::ListType>() : nullptr;
    return list && list->getElementType()->kind() == kind;
  }
  static bool takes_integers(const c10::TypePtr& type) { return is_list_of(type, TypeKind::IntType) || is_list_of(type, TypeKind::SymIntType); }
  static bool takes_integer(const c10::TypePtr& type) { return is(type, TypeKind::IntType) || is(type, TypeKind::SymIntType); }

  Operand make(std::monostate, const c10::TypePtr& type, const c10::TypePtr& declared, std::optional<int32_t>) const {
    if (declared && declared->kind() != TypeKind::OptionalType) reject("none", type);
    return constant({});
  }
  Operand make(const SlotReference& v, const c10::TypePtr& type, const c10::TypePtr&, std::optional<int32_t>) const {
    Operand operand{Operand::Kind::slot};
    operand.slot = checked(v.slot);
    if (is(type, TypeKind::TensorType)) operand.conversion = Operand::Conversion::tensor;
    else if (is(type, TypeKind::FloatType)) operand.conversion = Operand::Conversion::floating;
    else if (type && !takes_integer(type) && !is(type, TypeKind::NumberType) && !is(type, TypeKind::BoolType) && !is(type, TypeKind::SymBoolType))
      reject("a value of the graph", type);
    return operand;
  }
  Operand make(int64_t v, const c10::TypePtr& type, const c10::TypePtr&, std::optional<int32_t> length) const {
    if (is(type, TypeKind::FloatType)) return constant(static_cast<double>(v));
    if (takes_integers(type)) return constant(list_of<int64_t>(std::vector<int64_t>(static_cast<size_t>(length.value_or(1)), v)));
    return number(v, type, takes_integer(type));
  }
  Operand make(double v, const c10::TypePtr& type, const c10::TypePtr&, std::optional<int32_t>) const {
    return number(v, type, is(type, TypeKind::FloatType));
  }
  Operand make(bool v, const c10::TypePtr& type, const c10::TypePtr&, std::optional<int32_t>) const {
    return number(v, type, is(type, TypeKind::BoolType) || is(type, TypeKind::SymBoolType));
  }
  Operand number(c10::IValue v, const c10::TypePtr& type, bool fits) const {
    if (type && !fits && !is(type, TypeKind::NumberType) && !is(type, TypeKind::TensorType)) reject("a number", type);
    Operand operand = constant(std::move(v));
    if (is(type, TypeKind::TensorType)) operand.conversion = Operand::Conversion::tensor;
    return operand;
  }
  Operand make(const std::string& v, const c10::TypePtr& type, const c10::TypePtr&, std::optional<int32_t>) const {
    if (type && !is(type, TypeKind::StringType)) reject("a text", type);
    return constant(v);
  }
  // A dtype, a layout and a memory format are numbers to the dispatcher.
  Operand make(at::ScalarType v, const c10::TypePtr& type, const c10::TypePtr&, std::optional<int32_t>) const {
    if (type && !takes_integer(type) && !is(type, TypeKind::ScalarTypeType)) reject("a dtype", type);
    return constant(v);
  }
  Operand make(at::Layout v, const c10::TypePtr& type, const c10::TypePtr&, std::optional<int32_t>) const {
    if (type && !takes_integer(type) && !is(type, TypeKind::LayoutType)) reject("a layout", type);
    return constant(v);
  }
  Operand make(at::MemoryFormat v, const c10::TypePtr& type, const c10::TypePtr&, std::optional<int32_t>) const {
    if (type && !takes_integer(type) && !is(type, TypeKind::MemoryFormatType)) reject("a memory format", type);
    return constant(v);
  }
  Operand make(at::Device, const c10::TypePtr& type, const c10::TypePtr&, std::optional<int32_t>) const {
    if (type && !is(type, TypeKind::DeviceObjType)) reject("a device", type);
    return constant(options_.device);
  }
  Operand make(const Integers& v, const c10::TypePtr& type, const c10::TypePtr&, std::optional<int32_t>) const {
    const bool floats = is_list_of(type, TypeKind::FloatType);
    if (type && !floats && !takes_integers(type)) reject("integers", type);
    if (!v.slots.empty() && v.slots.size() != v.values.size()) reject("another number of integers", type);
    if (std::none_of(v.slots.begin(), v.slots.end(), [](Slot slot) { return slot >= 0; }))
      return constant(floats ? list_of<double>(v.values) : list_of<int64_t>(v.values));
    if (floats) reject("sizes", type);
    Operand operand{Operand::Kind::integers};
    operand.values = v.values;
    for (const Slot slot : v.slots) operand.slots.push_back(slot < 0 ? -1 : checked(slot));
    return operand;
  }
  Operand make(const std::vector<double>& v, const c10::TypePtr& type, const c10::TypePtr&, std::optional<int32_t>) const {
    if (type && !is_list_of(type, TypeKind::FloatType)) reject("floating-point numbers", type);
    return constant(list_of<double>(v));
  }
  Operand make(const std::vector<bool>& v, const c10::TypePtr& type, const c10::TypePtr&, std::optional<int32_t>) const {
    if (type && !is_list_of(type, TypeKind::BoolType)) reject("a list of true and false", type);
    return constant(list_of<bool>(v));
  }
  Operand make(const SlotList& v, const c10::TypePtr& type, const c10::TypePtr&, std::optional<int32_t>) const {
    const auto list = type ? type->cast<c10::ListType>() : nullptr;
    const bool optional = list && list->getElementType()->kind() == TypeKind::OptionalType;
    if (type && (!list || bare(list->getElementType())->kind() != TypeKind::TensorType)) reject("tensors", type);
    Operand operand{optional ? Operand::Kind::optional_tensors : Operand::Kind::tensors};
    for (const Slot slot : v.slots) {
      if (slot < 0 && !optional) reject("none in a list of tensors", type);
      operand.slots.push_back(slot < 0 ? -1 : checked(slot));
    }
    return operand;
  }
  Operand make(const std::shared_ptr<const GraphDescription>&, const c10::TypePtr& type, const c10::TypePtr&, std::optional<int32_t>) const {
    reject("a graph", type);
  }

  Slot slots_;
  const BindOptions& options_;
  std::string name_;
};

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

void bind_operation(Node& node, const NodeDescription& description, const Binder& binder, const BindOptions& options) {
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
      node.operands.push_back(binder(*found->second, parameter.real_type(), parameter.N()));
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

void bind_region(Node& node, const NodeDescription& description, const Region& region, const Binder& binder, const BindOptions& options,
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
    node.operands.push_back(binder(value, nullptr));
    if (i < region.passed) continue;
    const Operand& operand = node.operands.back();
    passed += operand.kind == Operand::Kind::tensors ? operand.slots.size() : 1;
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
  const Binder binder(slots, options, node.name);
  for (const auto& output : node.outputs)
    for (const Slot slot : output.slots)
      if (slot >= 0) binder.checked(slot);
  const std::string& target = description.target;
  if (const auto region = regions().find(target); region != regions().end()) {
    bind_region(node, description, region->second, binder, options, depth);
  } else if (const ScalarFunction scalar = scalar_function(target)) {
    node.kind = Node::Kind::scalar;
    node.scalar = scalar;
    for (const auto& argument : description.arguments) node.operands.push_back(binder(argument.value, nullptr));
  } else if (target.compare(0, 34, "torch.ops.aten.sym_constrain_range") == 0) {
    node.kind = Node::Kind::nothing;
  } else {
    bind_operation(node, description, binder, options);
  }
  return node;
}

Graph bind_graph(const GraphDescription& description, const BindOptions& options, int depth) {
  if (depth > most_nested) reject_program("graphs within graphs to a depth of " + std::to_string(most_nested), "deeper ones");
  Graph graph{description.slots, description.inputs, description.outputs};
  const Binder checked(graph.slots, options, "the graph's inputs and outputs");
  for (const Slot slot : graph.inputs) checked.checked(slot);
  for (const Slot slot : graph.outputs)
    if (slot >= 0) checked.checked(slot);
  for (const auto& node : description.nodes) graph.nodes.push_back(bind_node(node, graph.slots, options, depth));
  find_last_reads(graph);
  return graph;
}

}  // namespace

Graph bind(const GraphDescription& description, const BindOptions& options) { return bind_graph(description, options, 0); }

}  // namespace critical_sharpness::program
