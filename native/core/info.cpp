#include "info.hpp"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <ATen/ops/_fused_sdp_choice.h>
#include <ATen/ops/zeros.h>
#include <torch/headeronly/version.h>

#include <algorithm>
#include <atomic>
#include <thread>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

// Exported by libtorch_cpu since 2.x: the version of the library that is loaded, 0xMMmmpp… from the top byte down.
extern "C" uint64_t aoti_torch_abi_version();

namespace critical_sharpness {
namespace {

/// What the process may run on, or the time that it is given there if that is less.
std::atomic<int> cpus{static_cast<int>(std::max(1u, std::thread::hardware_concurrency()))};

bool has_flash_attention() {
  // What scaled_dot_product_attention itself asks; 1 is SDPBackend::flash_attention.
  const at::Tensor q = at::zeros({1, 2, 16, 32});
  return at::_fused_sdp_choice(q, q, q, {}, 0.0, /*is_causal=*/true) == 1;
}

/// What multiplies bfloat16 in hardware, by CPUID leaf 7.
std::string bfloat16_support() {
#if defined(__x86_64__)
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) && (d >> 22 & 1)) return "amx";
  if (__get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 5 & 1)) return "avx512_bf16";
#endif
  return "emulated";
}

std::string version_of(uint64_t abi) {
  return std::to_string(abi >> 56 & 0xff) + "." + std::to_string(abi >> 48 & 0xff) + "." + std::to_string(abi >> 40 & 0xff);
}

}  // namespace

Info info() {
  Info info;
  info.libtorch_version = version_of(aoti_torch_abi_version());
  info.built_for = TORCH_VERSION;
  info.cpu_capability = at::get_cpu_capability();
  info.threads = at::get_num_threads();
  info.cuda = cuda_devices();
  info.flash_attention = has_flash_attention();
  info.bfloat16 = bfloat16_support();
  info.parallel = at::get_parallel_info();
  return info;
}

void set_threads(int threads) { at::set_num_threads(threads); }

void limit_threads(int most) {
  cpus = std::min(cpus.load(), most);
  if (at::get_num_threads() > most) at::set_num_threads(most);
}

bool leaves_a_cpu() { return at::get_num_threads() < cpus; }

}  // namespace critical_sharpness
