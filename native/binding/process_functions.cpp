#include <memory>

#include "arguments.hpp"
#include "handles.hpp"
#include "info.hpp"
#include "job.hpp"

namespace critical_sharpness::binding {
namespace {

Napi::Value to_object(Napi::Env env, const Info& info) {
  auto devices = Napi::Array::New(env);
  for (uint32_t i = 0; i < info.cuda_devices.size(); i++) devices[i] = info.cuda_devices[i];
  auto cuda = Napi::Object::New(env);
  cuda.Set("built", info.cuda_built);
  cuda.Set("devices", devices);
  auto object = Napi::Object::New(env);
  object.Set("libtorchVersion", info.libtorch_version);
  object.Set("builtFor", info.built_for);
  object.Set("cpuCapability", info.cpu_capability);
  object.Set("threads", info.threads);
  object.Set("cuda", cuda);
  object.Set("flashAttention", info.flash_attention);
  object.Set("bfloat16", info.bfloat16);
  object.Set("parallel", info.parallel);
  return object;
}

Napi::Value describe(const Napi::CallbackInfo& call) {
  return submit(call.Env(), [] { return info(); }, to_object);
}

Napi::Value choose_threads(const Napi::CallbackInfo& call) {
  const auto threads = static_cast<int>(read_integer(call[0], "threads", 1, 1024));
  // On the compute thread: libtorch's count belongs to the thread that sets it.
  return submit(call.Env(), [=] { set_threads(threads); return Nothing{}; }, to_undefined);
}

Napi::Value memory(const Napi::CallbackInfo& call) {
  auto object = Napi::Object::New(call.Env());
  object.Set("handles", static_cast<double>(Memory::handles.load()));
  object.Set("bytes", static_cast<double>(Memory::bytes.load()));
  return object;
}

Napi::Value shutdown(const Napi::CallbackInfo& call) {
  shut_down_compute_thread();
  return call.Env().Undefined();
}

}  // namespace

void CancelTokenHandle::define(Napi::Env env) {
  Environment::of(env).cancel_token = define_class(env, [](Napi::Object& prototype) {
    method(prototype, "cancel", [](const Napi::CallbackInfo& call) -> Napi::Value {
      core(call)->cancel();
      return call.Env().Undefined();
    });
  });
}

void export_process(Napi::Env env, Napi::Object& exports) {
  CancelTokenHandle::define(env);
  method(exports, "createCancelToken", [](const Napi::CallbackInfo& call) -> Napi::Value {
    return CancelTokenHandle::make(call.Env(), std::make_shared<const Cancellation>(), 0);
  });
  async_method(exports, "setThreads", choose_threads);
  async_method(exports, "info", describe);
  method(exports, "memory", memory);
  method(exports, "shutdown", shutdown);
}

}  // namespace critical_sharpness::binding
