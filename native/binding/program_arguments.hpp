#pragma once
#include <memory>

#include "network/program/description.hpp"
#include "node_api.hpp"

namespace critical_sharpness::binding {

/// NativeProgramDescription of lib/torch/program-description.ts. Stored tensors are mapped from their files.
program::ProgramDescription read_program(const Napi::Object& value, at::Device device);

/// One of the dtypes of a program's tensors.
at::ScalarType read_program_dtype(const Napi::Value& value, const std::string& subject);

}  // namespace critical_sharpness::binding
