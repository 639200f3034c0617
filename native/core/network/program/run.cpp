#include "run.hpp"

#include <ATen/Context.h>
#include <ATen/ScalarOps.h>
#include <ATen/autocast_mode.h>
#include <ATen/core/List.h>
#include <ATen/core/grad_mode.h>
#include <ATen/SDPBackend.h>
#include <ATen/ops/_fused_sdp_choice.h>
#include <ATen/ops/zeros_like.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <unordered_map>

#include "errors.hpp"

namespace critical_sharpness::program {
namespace {

/// While it lives, operators choose their dtypes as torch.autocast says.
class Autocast {
 public:
  Autocast(at::DeviceType device, std::optional<at::ScalarType> dtype, bool enabled, bool cached)
      : device_(device),
        was_enabled_(at::autocast::is_autocast_enabled(device)),
        was_cached_(at::autocast::is_autocast_cache_enabled()),
        dtype_(at::autocast::get_autocast_dtype(device)) {
    at::autocast::set_autocast_enabled(device, enabled);
    if (dtype) at::autocast::set_autocast_dtype(device, *dtype);
    at::autocast::set_autocast_cache_enabled(cached);
    at::autocast::increment_nesting();
  }
  ~Autocast() {
    if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
    at::autocast::set_autocast_enabled(device_, was_enabled_);
    at::autocast::set_autocast_dtype(device_, dtype_);
    at::autocast::set_autocast_cache_enabled(was_cached_);
  }
  Autocast(const Autocast&) = delete;
  Autocast& operator=(const Autocast&) = delete;

 private:
  at::DeviceType device_;
  bool was_enabled_, was_cached_;
  at::ScalarType dtype_;
};

const void* memory_of(const at::Tensor& tensor) { return tensor.has_storage() ? tensor.storage().unsafeGetStorageImpl() : nullptr; }

/// Whether attention, to be differentiated twice, has to take its math kernel where it would take the flash kernel otherwise.
bool replaces_flash(const torch::jit::Stack& arguments) {
  if (at::globalContext().userEnabledFlashSDP() || arguments.at(0).toTensor().dim() != 4) return false;
  const auto mask = arguments.at(3).isTensor() ? std::optional(arguments[3].toTensor()) : std::nullopt;
  const auto scale = arguments.at(6).isNone() ? std::nullopt : std::optional(arguments[6].toDouble());
  struct Asking {
    Asking() { at::globalContext().setSDPUseFlash(true); }
    ~Asking() { at::globalContext().setSDPUseFlash(false); }
  } const asking;
  const int64_t choice = at::_fused_sdp_choice(arguments[0].toTensor(), arguments.at(1).toTensor(), arguments.at(2).toTensor(), mask,
                                               arguments.at(4).toDouble(), arguments.at(5).toBool(), scale, arguments.at(7).toBool());
  return choice == static_cast<int64_t>(at::SDPBackend::flash_attention);
}

/// The same tensor with axes that lie in memory in the order of those of `other`.
at::Tensor laid_out_as(const at::Tensor& other, const at::Tensor& tensor) {
  std::vector<int64_t> order(static_cast<size_t>(other.dim())), back(order.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return other.stride(a) > other.stride(b); });
  for (size_t i = 0; i < order.size(); i++) back[static_cast<size_t>(order[i])] = static_cast<int64_t>(i);
  return tensor.permute(order).contiguous().permute(back);
}

/// What attention adds to its scores for a mask of truth values: 0 where it is true.
at::Tensor additive_mask(const at::Tensor& mask, at::ScalarType dtype) {
  return at::zeros_like(mask, mask.options().dtype(dtype)).masked_fill_(mask.logical_not(), -std::numeric_limits<double>::infinity());
}

class Run {
 public:
  Run(const Graph& graph, Pass& pass) : graph_(graph), pass_(pass), values_(static_cast<size_t>(graph.slots)) {}

  std::vector<c10::IValue> operator()(std::vector<Value> inputs) {
    for (size_t i = 0; i < inputs.size(); i++) at(graph_.inputs[i]) = std::move(inputs[i]);
    inputs.clear();
    forget(graph_.unread);
    const Node* node = nullptr;
    try {
      for (const Node& next : graph_.nodes) {
        pass_.cancel.check();
        node = &next;
        call(next);
        forget(next.last_reads);
      }
    } catch (const c10::OutOfMemoryError&) {
      throw;
    } catch (const c10::Error& error) {
      const std::string message = error.what_without_backtrace();
      if (message.find("DefaultCPUAllocator") != std::string::npos) throw;
      reject_program("values that " + node->name + " takes", "others: " + message.substr(0, message.find('\n')));
    }
    std::vector<c10::IValue> outputs;
    for (const Slot slot : graph_.outputs) outputs.push_back(slot < 0 ? c10::IValue() : read(slot));
    return outputs;
  }

 private:
  Value& at(Slot slot) { return values_[static_cast<size_t>(slot)]; }
  void forget(const std::vector<Slot>& slots) {
    for (const Slot slot : slots) {
      at(slot) = {};
      masks_.erase(slot);
    }
  }

  c10::IValue read(Slot slot) {
    const Value& value = at(slot);
    if (value.parameter < 0) return value.value;
    const at::Tensor tensor = pass_.view->value(static_cast<size_t>(value.parameter), pass_.view->compute_dtype());
    if (const void* memory = memory_of(tensor)) pass_.guarded.insert(memory);
    return tensor;
  }

  c10::IValue make(const Operand& operand) {
    switch (operand.kind) {
      case Operand::Kind::constant: return converted(operand.constant, operand.conversion);
      case Operand::Kind::slot: return converted(read(operand.slot), operand.conversion);
      case Operand::Kind::integers: {
        c10::List<int64_t> list;
        for (size_t i = 0; i < operand.values.size(); i++) list.push_back(operand.slots[i] < 0 ? operand.values[i] : read(operand.slots[i]).toInt());
        return list;
      }
      case Operand::Kind::tensors: {
        c10::List<at::Tensor> list;
        for (const Slot slot : operand.slots) list.push_back(read(slot).toTensor());
        return list;
      }
      case Operand::Kind::optional_tensors: break;
    }
    c10::List<std::optional<at::Tensor>> list;
    for (const Slot slot : operand.slots) list.push_back(slot < 0 ? std::optional<at::Tensor>() : read(slot).toTensor());
    return list;
  }

  static c10::IValue converted(c10::IValue value, Operand::Conversion to) {
    if (to == Operand::Conversion::tensor && value.isScalar()) {
      // A number beside tensors takes their dtype, as Python's numbers do.
      at::Tensor wrapped = at::scalar_to_tensor(value.toScalar());
      wrapped.unsafeGetTensorImpl()->set_wrapped_number(true);
      return wrapped;
    }
    if (to == Operand::Conversion::floating && value.isScalar()) return value.toScalar().toDouble();
    return value;
  }

  void call(const Node& node) {
    switch (node.kind) {
      case Node::Kind::embedding:
        if (const Operand& table = node.operands[0]; table.kind == Operand::Kind::slot && at(table.slot).parameter >= 0) {
          const at::Tensor ids = make(node.operands[1]).toTensor();
          return keep(node, {pass_.view->embedding_but(make(node.operands[2]).toInt(), ids, static_cast<size_t>(at(table.slot).parameter))});
        }
        return operate(node);
      case Node::Kind::operation: return operate(node);
      case Node::Kind::scalar: {
        std::vector<c10::IValue> arguments;
        for (const Operand& operand : node.operands) arguments.push_back(make(operand));
        return keep(node, {node.scalar(arguments)});
      }
      case Node::Kind::nothing: return;
      case Node::Kind::grad_mode: {
        const at::AutoGradMode mode(make(node.operands.at(0)).toBool());
        return pass_on(node, node.graphs[0]);
      }
      case Node::Kind::autocast: {
        const c10::IValue dtype = make(node.operands.at(1)), cached = make(node.operands.at(3));
        const auto device = at::Device(make(node.operands.at(0)).toStringRef()).type();
        const Autocast mode(device, dtype.isNone() ? std::nullopt : std::optional(dtype.toScalarType()), make(node.operands.at(2)).toBool(),
                            cached.isNone() || cached.toBool());
        return pass_on(node, node.graphs[0]);
      }
      case Node::Kind::condition: {
        const c10::IValue holds = make(node.operands.at(0));
        return pass_on(node, node.graphs[(holds.isTensor() ? holds.toTensor().item<bool>() : holds.toBool()) ? 0 : 1]);
      }
    }
  }

  void operate(const Node& node) {
    stack_.clear();
    for (const Operand& operand : node.operands) stack_.push_back(make(operand));
    for (const size_t operand : node.writes) guard(node, stack_[operand]);
    if (node.check) node.check(stack_);
    if (node.is_attention) share_mask(node);
    // A program is exported by what the flash kernel's results are in memory, laid out as its queries are, and may look at them so.
    const at::Tensor queries = node.is_attention && replaces_flash(stack_) ? stack_[0].toTensor() : at::Tensor();
    node.operation->callBoxed(stack_);
    if (queries.defined()) stack_[0] = laid_out_as(queries, stack_[0].toTensor());
    keep(node, std::move(stack_));
    stack_.clear();
  }

  /// Attention makes numbers of a mask of truth values at every call, and a gradient keeps them: layers that share a mask share these.
  void share_mask(const Node& node) {
    const Operand& operand = node.operands.at(3);
    if (operand.kind != Operand::Kind::slot || !stack_[3].isTensor()) return;
    const at::Tensor mask = stack_[3].toTensor(), queries = stack_[0].toTensor();
    if (mask.scalar_type() != at::kBool || !mask.device().is_cpu() || mask.is_inference() || at::autocast::is_autocast_enabled(at::kCPU)) return;
    const auto known = masks_.find(operand.slot);
    const bool is_known = known != masks_.end() && known->second.version == mask._version() && known->second.numbers.scalar_type() == queries.scalar_type();
    const bool is_last = std::find(node.last_reads.begin(), node.last_reads.end(), operand.slot) != node.last_reads.end();
    if (!is_known && is_last) return;
    if (!is_known) masks_[operand.slot] = {additive_mask(mask, queries.scalar_type()), mask._version()};
    stack_[3] = masks_[operand.slot].numbers;
  }

  void guard(const Node& node, const c10::IValue& value) const {
    const auto check = [&](const at::Tensor& tensor) {
      if (tensor.defined() && pass_.guarded.count(memory_of(tensor)))
        reject_program("a loss that leaves parameters and inputs alone", node.name + " on one of them");
    };
    if (value.isTensor()) check(value.toTensor());
    else if (value.isTensorList())
      for (const at::Tensor& tensor : value.toTensorVector()) check(tensor);
  }

  void keep(const Node& node, std::vector<c10::IValue>&& results) {
    for (size_t i = 0; i < node.outputs.size(); i++) {
      const Output& output = node.outputs[i];
      if (!output.is_list) {
        if (output.slots[0] >= 0) at(output.slots[0]) = {std::move(results.at(i))};
        continue;
      }
      const auto list = results.at(i).toTensorVector();
      if (list.size() != output.slots.size()) reject_program(std::to_string(output.slots.size()) + " results of " + node.name, std::to_string(list.size()));
      for (size_t k = 0; k < list.size(); k++)
        if (output.slots[k] >= 0) at(output.slots[k]) = {list[k]};
    }
  }

  /// Runs a graph on what follows the node's own arguments. Its outputs are the node's, in order.
  void pass_on(const Node& node, const Graph& graph) {
    std::vector<Value> all;
    for (const Operand& operand : node.operands) {
      if (operand.kind == Operand::Kind::constant) all.push_back({operand.constant});
      if (operand.slot >= 0) all.push_back(at(operand.slot));
      for (const Slot slot : operand.slots) all.push_back(at(slot));
    }
    std::vector<Value> inputs(all.end() - static_cast<std::ptrdiff_t>(graph.inputs.size()), all.end());
    all.clear();
    const auto results = run(graph, pass_, std::move(inputs));
    size_t next = 0;
    for (const Output& output : node.outputs)
      for (const Slot slot : output.slots) {
        if (next == results.size()) reject_program("as many results as the graph has at " + node.name, "more");
        if (slot >= 0) at(slot) = {results[next]};
        next++;
      }
  }

  const Graph& graph_;
  Pass& pass_;
  struct SharedMask {
    at::Tensor numbers;
    int64_t version;  // of the mask when they were made
  };
  std::vector<Value> values_;
  std::unordered_map<Slot, SharedMask> masks_;
  torch::jit::Stack stack_;
};

}  // namespace

std::vector<c10::IValue> run(const Graph& graph, Pass& pass, std::vector<Value> inputs) { return Run(graph, pass)(std::move(inputs)); }

}  // namespace critical_sharpness::program
