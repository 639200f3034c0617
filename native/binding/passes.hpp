#pragma once
#include <string>

#include "model.hpp"
#include "node_api.hpp"

namespace critical_sharpness::binding {

/// "hessian" or "gauss-newton".
CurvatureOperator read_curvature(const Napi::Value& value, const std::string& subject);

// NativeModel's passes over a batch. `this` is the model.

Napi::Value loss(const Napi::CallbackInfo& info);
Napi::Value gradient(const Napi::CallbackInfo& info);
Napi::Value curvature_product(const Napi::CallbackInfo& info);

}  // namespace critical_sharpness::binding
