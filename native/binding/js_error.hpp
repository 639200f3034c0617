#pragma once
#include <exception>
#include <string>

#include "node_api.hpp"

namespace critical_sharpness::binding {

/// The error with a `code`.
Napi::Error with_code(Napi::Error error, const std::string& code);
/// "Expected <what> for <subject> but received …", as in lib/errors.ts: a TypeError ERR_INVALID_ARG_TYPE.
Napi::Error type_error(const Napi::Value& received, const std::string& what, const std::string& subject);
/// The same as a RangeError ERR_OUT_OF_RANGE.
Napi::Error range_error(const Napi::Value& received, const std::string& what, const std::string& subject);

/// Any C++ exception as a JavaScript error with a `code` (lib/torch/handles.ts lists them).
Napi::Error to_js_error(Napi::Env env, const std::exception_ptr& exception);

/// Gives `error` the stack frames of `called_at`, an Error made where the operation was called: its own would name nobody.
void adopt_frames(Napi::Error& error, const Napi::Object& called_at);

/// Runs body on the JavaScript thread; what it throws becomes a JavaScript error. No other exception may reach a Node-API
/// callback: it would end the process.
template <class Body>
auto guarded(Napi::Env env, const Body& body) -> decltype(body()) {
  try {
    return body();
  } catch (const Napi::Error&) {
    throw;
  } catch (...) {
    throw to_js_error(env, std::current_exception());
  }
}

}  // namespace critical_sharpness::binding
