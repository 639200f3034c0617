#include <c10/util/Logging.h>
#include <torch/headeronly/version.h>

#include "caching_allocator.hpp"
#include "handles.hpp"

// A C function of libtorch_cpu: its version from the top byte down, whatever headers this file was compiled with.
extern "C" uint64_t aoti_torch_abi_version();

namespace critical_sharpness::binding {
namespace {

/// Classes of another minor version have other layouts, and calls into it corrupt memory: this comes before any of them.
void check_libtorch(Napi::Env env) {
  const uint64_t loaded = aoti_torch_abi_version() >> 48;
  if (loaded == (TORCH_VERSION_MAJOR << 8 | TORCH_VERSION_MINOR)) return;
  const std::string version = std::to_string(loaded >> 8) + "." + std::to_string(loaded & 0xff);
  throw with_code(Napi::Error::New(env, "Expected libtorch " TORCH_VERSION " for this addon but received libtorch " + version +
                                            ", which is loaded in this process: build the addon against that version"),
                  "ERR_LIBTORCH_VERSION");
}

Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  check_libtorch(env);
  // Without it TORCH_CPP_LOG_LEVEL has no effect. Workers may load the addon at the same time.
  [[maybe_unused]] static const bool once = (c10::initLogging(), install_caching_allocator(), true);
  env.SetInstanceData(new Environment(env));
  export_models(env, exports);
  export_batches(env, exports);
  export_vectors(env, exports);
  export_optimizers(env, exports);
  export_curvature(env, exports);
  export_krylov(env, exports);
  export_groups(env, exports);
  export_process(env, exports);
  return exports;
}

Napi::Object initialize_module(Napi::Env env, Napi::Object exports) {
  return guarded(env, [&] { return initialize(env, exports); });
}

}  // namespace
}  // namespace critical_sharpness::binding

using critical_sharpness::binding::initialize_module;
NODE_API_MODULE(critical_sharpness, initialize_module)
