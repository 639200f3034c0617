#pragma once
#include <string>

#include "js_error.hpp"

namespace critical_sharpness::binding {

/// A JavaScript function over `function(info)`; what it throws, of any type, is thrown as a JavaScript error.
template <class Function>
Napi::Function make_function(Napi::Env env, const char* name, Function function) {
  return Napi::Function::New(
      env,
      [function](const Napi::CallbackInfo& info) -> Napi::Value { return guarded(info.Env(), [&] { return function(info); }); },
      name);
}

/// The same for one that returns a promise: what it throws rejects it, so that there is one way to fail.
template <class Function>
Napi::Function make_async_function(Napi::Env env, const char* name, Function function) {
  return make_function(env, name, [function](const Napi::CallbackInfo& info) -> Napi::Value {
    try {
      return guarded(info.Env(), [&] { return function(info); });
    } catch (const Napi::Error& error) {
      auto deferred = Napi::Promise::Deferred::New(info.Env());
      deferred.Reject(error.Value());
      return deferred.Promise();
    }
  });
}

// Members of a class's prototype.

template <class Function>
void method(Napi::Object& prototype, const char* name, Function function) {
  prototype.DefineProperty(
      Napi::PropertyDescriptor::Value(name, make_function(prototype.Env(), name, function), napi_default_method));
}

template <class Function>
void async_method(Napi::Object& prototype, const char* name, Function function) {
  prototype.DefineProperty(
      Napi::PropertyDescriptor::Value(name, make_async_function(prototype.Env(), name, function), napi_default_method));
}

template <class Function>
void getter(Napi::Object& prototype, const char* name, Function function) {
  const auto call = [function](const Napi::CallbackInfo& info) -> Napi::Value {
    return guarded(info.Env(), [&] { return function(info); });
  };
  prototype.DefineProperty(Napi::PropertyDescriptor::Accessor(prototype.Env(), prototype, name, call, napi_enumerable));
}

}  // namespace critical_sharpness::binding
