#pragma once
#include <memory>

#include "network/network.hpp"
#include "node_api.hpp"

namespace critical_sharpness::binding {

/// NativeModelDescription of lib/torch/model-description.ts. Rejects models of more than 2⁴⁰ weights: bad input, not an allocation
/// that fails. `device`: where a program's constants lie.
std::unique_ptr<Network> read_network(const Napi::Value& value, at::Device device);

}  // namespace critical_sharpness::binding
