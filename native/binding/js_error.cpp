#include "js_error.hpp"

#include <c10/util/Exception.h>

#include <new>

#include "errors.hpp"

namespace critical_sharpness::binding {
namespace {

/// One line about any value. Runs no code of the value's: no toString, no getter.
std::string render(const Napi::Value& value) {
  if (value.IsNumber() || value.IsBoolean() || value.IsNull() || value.IsUndefined()) return value.ToString().Utf8Value();
  if (value.IsBigInt()) return value.ToString().Utf8Value().substr(0, 40) + "n";
  if (value.IsString()) {
    const std::string text = value.As<Napi::String>().Utf8Value();
    return '"' + (text.size() > 80 ? text.substr(0, 77) + "…" : text) + '"';
  }
  if (value.IsSymbol()) return "a symbol";
  if (value.IsFunction()) return "a function";
  if (value.IsArray()) return "an array of " + std::to_string(value.As<Napi::Array>().Length());
  if (value.IsTypedArray()) return "a typed array";
  return value.IsObject() ? "an object" : "another kind of value";
}

std::string sentence(const Napi::Value& received, const std::string& what, const std::string& subject) {
  return "Expected " + what + " for " + subject + " but received " + render(received);
}

Napi::Error from_input_error(Napi::Env env, const InputError& error) {
  switch (error.kind) {
    case InputError::Kind::type: return with_code(Napi::TypeError::New(env, error.what()), error.code);
    case InputError::Kind::range: return with_code(Napi::RangeError::New(env, error.what()), error.code);
    case InputError::Kind::state: break;
  }
  return with_code(Napi::Error::New(env, error.what()), error.code);
}

Napi::Error out_of_memory(Napi::Env env, const std::string& detail) {
  return with_code(Napi::Error::New(env, "Expected enough memory for the operation but received none" + detail), "ERR_OUT_OF_MEMORY");
}

/// What helps where a GPU's memory is full.
std::string gpu_remedy(const std::string& message) {
  return message.find("CUDA out of memory") == std::string::npos
             ? ""
             : ". A smaller microBatch, or gradients with recompute, need less; dispose of models and directions that are no longer needed";
}

Napi::Error from_libtorch(Napi::Env env, const c10::Error& error) {
  const std::string message = error.what_without_backtrace();
  // The CPU allocator says with a plain c10::Error that it got no memory.
  if (dynamic_cast<const c10::OutOfMemoryError*>(&error) || message.find("DefaultCPUAllocator") != std::string::npos)
    return out_of_memory(env, ": " + message.substr(0, message.find(" If reserved but unallocated")) + gpu_remedy(message));
  return with_code(Napi::Error::New(env, message), "ERR_LIBTORCH");
}

}  // namespace

Napi::Error with_code(Napi::Error error, const std::string& code) {
  error.Set("code", Napi::String::New(error.Env(), code));
  return error;
}

Napi::Error type_error(const Napi::Value& received, const std::string& what, const std::string& subject) {
  return with_code(Napi::TypeError::New(received.Env(), sentence(received, what, subject)), "ERR_INVALID_ARG_TYPE");
}

Napi::Error range_error(const Napi::Value& received, const std::string& what, const std::string& subject) {
  return with_code(Napi::RangeError::New(received.Env(), sentence(received, what, subject)), "ERR_OUT_OF_RANGE");
}

Napi::Error to_js_error(Napi::Env env, const std::exception_ptr& exception) {
  try {
    std::rethrow_exception(exception);
  } catch (const Napi::Error& e) {
    return e;
  } catch (const InputError& e) {
    return from_input_error(env, e);
  } catch (const Cancelled& e) {
    return with_code(Napi::Error::New(env, e.what()), "CANCELLED");
  } catch (const std::bad_alloc&) {
    return out_of_memory(env, "");
  } catch (const c10::Error& e) {
    return from_libtorch(env, e);
  } catch (const std::exception& e) {
    return with_code(Napi::Error::New(env, e.what()), "ERR_NATIVE");
  } catch (...) {
    return with_code(Napi::Error::New(env, "An exception of unknown type in native code"), "ERR_NATIVE");
  }
}

void adopt_frames(Napi::Error& error, const Napi::Object& called_at) {
  try {
    const Napi::Value stack = called_at.Get("stack");
    const Napi::Object target = error.Value();
    if (!stack.IsString() || !target.IsObject()) return;  // Error.prepareStackTrace may return anything
    const std::string text = stack.As<Napi::String>().Utf8Value();
    if (const auto frames = text.find('\n'); frames != std::string::npos)
      error.Set("stack", Napi::String::New(error.Env(), target.ToString().Utf8Value() + text.substr(frames)));
  } catch (const Napi::Error&) {
    // Code of the user's threw while the stack was formatted: without frames the error is still the error.
  }
}

}  // namespace critical_sharpness::binding
