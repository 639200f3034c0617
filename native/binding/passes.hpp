#pragma once
#include "node_api.hpp"

namespace critical_sharpness::binding {

// NativeModel's passes over a batch. `this` is the model.

Napi::Value loss(const Napi::CallbackInfo& info);
Napi::Value expert_changes(const Napi::CallbackInfo& info);
Napi::Value gradient(const Napi::CallbackInfo& info);

}  // namespace critical_sharpness::binding
