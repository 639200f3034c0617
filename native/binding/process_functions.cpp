#include <memory>

#include "arguments.hpp"
#include "handles.hpp"
#include "info.hpp"
#include "job.hpp"

namespace critical_sharpness::binding {
namespace {

Napi::Value or_null(Napi::Env env, const std::string& text) {
  return text.empty() ? env.Null() : Napi::Value(Napi::String::New(env, text));
}

Napi::Value to_object(Napi::Env env, const CudaDevices& cuda) {
  auto devices = Napi::Array::New(env);
  for (uint32_t i = 0; i < cuda.devices.size(); i++) {
    auto device = Napi::Object::New(env);
    device.Set("name", cuda.devices[i].name);
    device.Set("memory", static_cast<double>(cuda.devices[i].memory));
    device.Set("capability", cuda.devices[i].capability);
    devices[i] = device;
  }
  auto object = Napi::Object::New(env);
  object.Set("built", cuda.built);
  object.Set("driver", or_null(env, cuda.driver));
  object.Set("problem", or_null(env, cuda.problem));
  object.Set("devices", devices);
  return object;
}

Napi::Value to_object(Napi::Env env, const Info& info) {
  auto object = Napi::Object::New(env);
  object.Set("libtorchVersion", info.libtorch_version);
  object.Set("builtFor", info.built_for);
  object.Set("cpuCapability", info.cpu_capability);
  object.Set("threads", info.threads);
  object.Set("cuda", to_object(env, info.cuda));
  object.Set("flashAttention", info.flash_attention);
  object.Set("bfloat16", info.bfloat16);
  object.Set("parallel", info.parallel);
  return object;
}

Napi::Value describe(const Napi::CallbackInfo& call) {
  const auto to_js = [](Napi::Env env, const Info& info) { return to_object(env, info); };
  return submit(call.Env(), [] { return info(); }, to_js);
}

Napi::Value choose_threads(const Napi::CallbackInfo& call) {
  const auto threads = static_cast<int>(read_integer(call[0], "threads", 1, 1024));
  // On the compute thread: libtorch's count belongs to the thread that sets it.
  return submit(call.Env(), [=] { set_threads(threads); return Nothing{}; }, to_undefined);
}

Napi::Value choose_most_threads(const Napi::CallbackInfo& call) {
  const auto most = static_cast<int>(read_integer(call[0], "threads", 1, 1024));
  prepare_compute_thread([=] { limit_threads(most); });
  return call.Env().Undefined();
}

Napi::Value memory(const Napi::CallbackInfo& call) {
  auto object = Napi::Object::New(call.Env());
  object.Set("handles", static_cast<double>(Memory::handles.load()));
  object.Set("bytes", static_cast<double>(Memory::bytes.load()));
  return object;
}

Napi::Value memory_of_device(const Napi::CallbackInfo& call) {
  const at::Device device = find_device(read_string(call[0], "device"));
  const bool reset_peak = read_boolean(call[1], "resetPeak");
  return submit(call.Env(), [=] { return device_memory(device, reset_peak); },
                [](Napi::Env env, const DeviceMemory& memory) -> Napi::Value {
                  auto object = Napi::Object::New(env);
                  object.Set("allocated", static_cast<double>(memory.allocated));
                  object.Set("peak", static_cast<double>(memory.peak));
                  object.Set("reserved", static_cast<double>(memory.reserved));
                  object.Set("driverAllocations", static_cast<double>(memory.driver_allocations));
                  return object;
                });
}

Napi::Value shutdown(const Napi::CallbackInfo& call) {
  Environment::of(call.Env()).leave_groups();
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
  method(exports, "limitThreads", choose_most_threads);
  async_method(exports, "info", describe);
  method(exports, "memory", memory);
  async_method(exports, "deviceMemory", memory_of_device);
  method(exports, "shutdown", shutdown);
}

}  // namespace critical_sharpness::binding
