#pragma once
#include <ATen/core/jit_type.h>

#include <optional>
#include <string>

#include "graph.hpp"

namespace critical_sharpness::program {

inline Operand constant(c10::IValue value) { return {Operand::Kind::constant, std::move(value)}; }

/// Makes operands of a node's arguments. Throws as make_program where an argument is not what the operator takes.
class OperandMaker {
 public:
  /// `name`: of the node, for errors. `slots`: how many its graph has.
  OperandMaker(Slot slots, at::Device device, std::string name) : slots_(slots), device_(device), name_(std::move(name)) {}

  /// Of the type that the operator's schema declares; null: without a schema, as it is. `length`: of a list that one number stands for.
  Operand operator()(const ArgumentValue& value, const c10::TypePtr& declared, std::optional<int32_t> length = std::nullopt) const;
  /// The slot, if the graph has it.
  Slot checked(Slot slot) const;

 private:
  struct Taken;
  Slot slots_;
  at::Device device_;
  std::string name_;
};

}  // namespace critical_sharpness::program
