#pragma once
#include <string>

#include "devices.hpp"

namespace critical_sharpness {

/// What libtorch can do on this machine; see NativeInfo in lib/torch/surface.ts.
struct Info {
  std::string libtorch_version;  // of the library that is loaded
  std::string built_for;         // of the headers
  std::string cpu_capability;
  int threads = 0;
  CudaDevices cuda;
  bool flash_attention = false;
  std::string bfloat16;  // "amx", "avx512_bf16" or "emulated"
  std::string parallel;
};

Info info();
void set_threads(int threads);

/// No more than these, where libtorch by itself would take more.
void limit_threads(int most);

/// Whether the calling thread's passes leave a CPU to the thread that waits for them.
bool leaves_a_cpu();

}  // namespace critical_sharpness
