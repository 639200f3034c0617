#include "operands.hpp"

#include <ATen/core/List.h>

#include <algorithm>

namespace critical_sharpness::program {
namespace {

using c10::TypeKind;

/// A type without its "or none".
c10::TypePtr bare(c10::TypePtr type) {
  while (const auto optional = type->cast<c10::OptionalType>()) type = optional->getElementType();
  return type;
}

template <class Item, class Source>
c10::IValue list_of(const std::vector<Source>& values) {
  c10::List<Item> list;
  list.reserve(values.size());
  for (const auto value : values) list.push_back(static_cast<Item>(value));
  return list;
}

}  // namespace

/// What an argument may be: an operand of each kind of value that fits its type.
struct OperandMaker::Taken {
  const OperandMaker& maker;
  c10::TypePtr declared, type;  // null: anything; `type` without its "or none"
  std::optional<int32_t> length;
  const std::string& name;
  at::Device device;

  [[noreturn]] void reject(const char* received) const {
    reject_program((type ? type->annotation_str() : "another argument") + " at " + name, received);
  }
  bool is(TypeKind kind) const { return type && type->kind() == kind; }
  bool is_list_of(TypeKind kind) const {
    const auto list = type ? type->cast<c10::ListType>() : nullptr;
    return list && list->getElementType()->kind() == kind;
  }
  bool takes_integers() const { return is_list_of(TypeKind::IntType) || is_list_of(TypeKind::SymIntType); }
  bool takes_integer() const { return is(TypeKind::IntType) || is(TypeKind::SymIntType); }

  Operand operator()(std::monostate) const {
    if (declared && declared->kind() != TypeKind::OptionalType) reject("none");
    return constant({});
  }
  Operand operator()(const SlotReference& v) const {
    Operand operand{Operand::Kind::slot};
    operand.slot = maker.checked(v.slot);
    if (is(TypeKind::TensorType)) operand.conversion = Operand::Conversion::tensor;
    else if (is(TypeKind::FloatType)) operand.conversion = Operand::Conversion::floating;
    else if (type && !takes_integer() && !is(TypeKind::NumberType) && !is(TypeKind::BoolType) && !is(TypeKind::SymBoolType))
      reject("a value of the graph");
    return operand;
  }
  Operand operator()(int64_t v) const {
    if (is(TypeKind::FloatType)) return constant(static_cast<double>(v));
    if (takes_integers()) return constant(list_of<int64_t>(std::vector<int64_t>(static_cast<size_t>(length.value_or(1)), v)));
    return number(v, takes_integer());
  }
  Operand operator()(double v) const {
    return number(v, is(TypeKind::FloatType));
  }
  Operand operator()(bool v) const {
    return number(v, is(TypeKind::BoolType) || is(TypeKind::SymBoolType));
  }
  Operand number(c10::IValue v, bool fits) const {
    if (type && !fits && !is(TypeKind::NumberType) && !is(TypeKind::TensorType)) reject("a number");
    Operand operand = constant(std::move(v));
    if (is(TypeKind::TensorType)) operand.conversion = Operand::Conversion::tensor;
    return operand;
  }
  Operand operator()(const std::string& v) const {
    if (type && !is(TypeKind::StringType)) reject("a text");
    return constant(v);
  }
  // A dtype, a layout and a memory format are numbers to the dispatcher.
  Operand operator()(at::ScalarType v) const {
    if (type && !takes_integer() && !is(TypeKind::ScalarTypeType)) reject("a dtype");
    return constant(v);
  }
  Operand operator()(at::Layout v) const {
    if (type && !takes_integer() && !is(TypeKind::LayoutType)) reject("a layout");
    return constant(v);
  }
  Operand operator()(at::MemoryFormat v) const {
    if (type && !takes_integer() && !is(TypeKind::MemoryFormatType)) reject("a memory format");
    return constant(v);
  }
  Operand operator()(at::Device) const {
    if (type && !is(TypeKind::DeviceObjType)) reject("a device");
    return constant(device);
  }
  Operand operator()(const Integers& v) const {
    const bool floats = is_list_of(TypeKind::FloatType);
    if (type && !floats && !takes_integers()) reject("integers");
    if (!v.slots.empty() && v.slots.size() != v.values.size()) reject("another number of integers");
    if (std::none_of(v.slots.begin(), v.slots.end(), [](Slot slot) { return slot >= 0; }))
      return constant(floats ? list_of<double>(v.values) : list_of<int64_t>(v.values));
    if (floats) reject("sizes");
    Operand operand{Operand::Kind::integers};
    operand.values = v.values;
    for (const Slot slot : v.slots) operand.slots.push_back(slot < 0 ? -1 : maker.checked(slot));
    return operand;
  }
  Operand operator()(const std::vector<double>& v) const {
    if (type && !is_list_of(TypeKind::FloatType)) reject("floating-point numbers");
    return constant(list_of<double>(v));
  }
  Operand operator()(const std::vector<bool>& v) const {
    if (type && !is_list_of(TypeKind::BoolType)) reject("a list of true and false");
    return constant(list_of<bool>(v));
  }
  Operand operator()(const SlotList& v) const {
    const auto list = type ? type->cast<c10::ListType>() : nullptr;
    const bool optional = list && list->getElementType()->kind() == TypeKind::OptionalType;
    if (type && (!list || bare(list->getElementType())->kind() != TypeKind::TensorType)) reject("tensors");
    Operand operand{optional ? Operand::Kind::optional_tensors : Operand::Kind::tensors};
    for (const Slot slot : v.slots) {
      if (slot < 0 && !optional) reject("none in a list of tensors");
      operand.slots.push_back(slot < 0 ? -1 : maker.checked(slot));
    }
    return operand;
  }
  Operand operator()(const std::shared_ptr<const GraphDescription>&) const {
    reject("a graph");
  }
};

Operand OperandMaker::operator()(const ArgumentValue& value, const c10::TypePtr& declared, std::optional<int32_t> length) const {
  return std::visit(Taken{*this, declared, declared ? bare(declared) : nullptr, length, name_, device_}, value);
}

Slot OperandMaker::checked(Slot slot) const {
  if (slot < 0 || slot >= slots_) reject_program("values that the graph has", "another one at " + name_);
  return slot;
}

}  // namespace critical_sharpness::program
