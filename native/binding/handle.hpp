#pragma once
#include <atomic>
#include <memory>
#include <string>
#include <utility>

#include "compute_thread.hpp"
#include "functions.hpp"

namespace critical_sharpness::binding {

/// Live handles of the process, and the bytes of the tensors that they hold.
struct Memory {
  static inline std::atomic<int64_t> handles{0}, bytes{0};
};

/// A JavaScript object over a shared core object. `Self` gives `name`, `tag`, `holds_memory` and `constructor(Environment&)`.
/// Methods are functions on the prototype that ask for `core(info)`: a wrong `this` is an error, never a cast.
/// A handle and the jobs that were given its core own the core together: disposing of it under a running job is safe.
template <class Self, class Core>
class Handle : public Napi::ObjectWrap<Self> {
 public:
  explicit Handle(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Self>(info) {
    if (!pending_) throw with_code(Napi::TypeError::New(info.Env(), "Illegal constructor"), "ERR_ILLEGAL_CONSTRUCTOR");
    if (napi_type_tag_object(info.Env(), info.This(), &Self::tag) != napi_ok) throw Napi::Error::New(info.Env());
    core_ = std::move(*pending_);
    if (Self::holds_memory) Memory::handles++;
  }
  ~Handle() override { release(); }

  /// A new JavaScript object over `core`, which holds `bytes`.
  static Napi::Object make(Napi::Env env, std::shared_ptr<Core> core, int64_t bytes) {
    pending_ = &core;
    try {
      const Napi::Object object = Self::constructor(Environment::of(env)).New({});
      pending_ = nullptr;
      Napi::ObjectWrap<Self>::Unwrap(object)->account(bytes);
      return object;
    } catch (...) {
      pending_ = nullptr;
      throw;
    }
  }

  /// The core object of an argument. Throws a JavaScript error for anything else, and for a disposed one.
  static std::shared_ptr<Core> core(const Napi::Value& value, const std::string& subject) {
    const Self* handle = unwrap(value, subject);
    if (!handle->core_)
      throw with_code(Napi::Error::New(value.Env(), std::string("Expected a live ") + Self::name + " for " + subject +
                                                        " but received one that was disposed of"), "ERR_DISPOSED");
    return handle->core_;
  }
  static std::shared_ptr<Core> core(const Napi::CallbackInfo& info) { return core(info.This(), "this"); }

  /// Puts down what a handle's core holds now, unless it was disposed of.
  static void hold(const Napi::Value& value, int64_t bytes) {
    Self* handle = unwrap(value, "this");
    if (handle->core_) handle->account(bytes);
  }

  /// Defines the class with `disposed`, `dispose()` and what `define(prototype)` adds.
  template <class Define>
  static Napi::FunctionReference define_class(Napi::Env env, const Define& define) {
    const Napi::Function constructor = Napi::ObjectWrap<Self>::DefineClass(env, Self::name, {});
    Napi::Object prototype = constructor.Get("prototype").template As<Napi::Object>();
    getter(prototype, "disposed", [](const Napi::CallbackInfo& info) -> Napi::Value {
      return Napi::Boolean::New(info.Env(), !unwrap(info.This(), "this")->core_);
    });
    const auto dispose = [](const Napi::CallbackInfo& info) -> Napi::Value {
      unwrap(info.This(), "this")->release();
      return info.Env().Undefined();
    };
    method(prototype, "dispose", dispose);
    // Some vm contexts have none.
    const Napi::Value symbol = env.Global().Get("Symbol").template As<Napi::Object>().Get("dispose");
    if (symbol.IsSymbol())
      prototype.DefineProperty(Napi::PropertyDescriptor::Value(
          symbol.template As<Napi::Symbol>(), make_function(env, "[Symbol.dispose]", dispose), napi_default_method));
    define(prototype);
    return Napi::Persistent(constructor);
  }

 private:
  static Self* unwrap(const Napi::Value& value, const std::string& subject) {
    bool ours = false;
    if (!value.IsObject() || napi_check_object_type_tag(value.Env(), value, &Self::tag, &ours) != napi_ok || !ours)
      throw type_error(value, std::string("a ") + Self::name, subject);
    Self* handle = Napi::ObjectWrap<Self>::Unwrap(value.As<Napi::Object>());
    // The addon loaded twice in one thread has two environments, with classes of their own.
    if (static_cast<napi_env>(handle->Env()) != static_cast<napi_env>(value.Env()))
      throw type_error(value, std::string("a ") + Self::name + " made by this load of the addon", subject);
    return handle;
  }

  void account(int64_t bytes) {
    const int64_t change = bytes - bytes_;
    if (change == 0) return;
    bytes_ = bytes;
    Memory::bytes += change;
    int64_t total = 0;
    napi_adjust_external_memory(this->Env(), change, &total);
  }

  void release() {
    if (!core_) return;
    if (Self::holds_memory) {
      Memory::handles--;
      let_go(std::exchange(core_, nullptr), bytes_);
    }
    core_.reset();
    account(0);
  }

  // Handed to the constructor by make(), on the same thread.
  static inline thread_local std::shared_ptr<Core>* pending_ = nullptr;

  std::shared_ptr<Core> core_;
  int64_t bytes_ = 0;
};

}  // namespace critical_sharpness::binding
