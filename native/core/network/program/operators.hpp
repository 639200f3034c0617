#pragma once
#include <ATen/core/function_schema.h>
#include <ATen/core/stack.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace critical_sharpness::program {

/// Whether a program may call the operator: one of the list in operators.cpp, and not the variant that writes into an output it is
/// given. Nothing else ever runs.
bool is_allowed(const c10::FunctionSchema& schema);

/// The list's names, without "aten::", in its order.
std::vector<std::string> allowed_names();

/// The arguments that the operator writes to: those that its schema says, and the running statistics of batch and instance
/// norm, of which it is silent; they are written where the argument `statistics_flag` is true.
struct WrittenArguments {
  std::vector<size_t> always, statistics;
  std::optional<size_t> statistics_flag;
};
WrittenArguments written_arguments(const c10::FunctionSchema& schema);

/// Whether results may share memory with arguments though the schema does not say so.
bool may_return_argument(const c10::FunctionSchema& schema);

/// What has to be asked of an operator's arguments before it is called, for its kernels do not: throws as make_program, naming the
/// node. Empty: nothing.
std::function<void(const torch::jit::Stack&)> shape_check(const c10::FunctionSchema& schema, const std::string& name);

}  // namespace critical_sharpness::program
