#include "ranks/nccl_functions.hpp"

#include <ATen/DynamicLibrary.h>

#include <string>

#include "errors.hpp"

namespace critical_sharpness::nccl {
namespace {

/// The first with communicators that do not hold up their caller.
constexpr int oldest = 21400;

[[noreturn]] void reject(const std::string& received) {
  throw InputError(InputError::Kind::state, "ERR_GROUP",
                   "Expected NCCL 2.14 or later for a model over several CUDA devices but received " + received +
                       ". It comes with a CUDA build of PyTorch: see docs/ranks.md");
}

template <class Function>
void find(at::DynamicLibrary& library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(library.sym(name));
}

std::string version_of(int number) {
  return std::to_string(number / 10000) + "." + std::to_string(number / 100 % 100) + "." + std::to_string(number % 100);
}

}  // namespace

Functions load(const char* file) {
  Functions found{};
  try {
    // A library that the process has is found by its name, wherever it lies.
    at::DynamicLibrary library(file, nullptr, /*leak_handle=*/true);
    find(library, "ncclGetVersion", found.get_version);
    find(library, "ncclGetErrorString", found.get_error_string);
    find(library, "ncclGetUniqueId", found.get_unique_id);
    find(library, "ncclCommInitRankConfig", found.comm_init_rank_config);
    find(library, "ncclCommGetAsyncError", found.comm_get_async_error);
    find(library, "ncclCommAbort", found.comm_abort);
    find(library, "ncclGroupStart", found.group_start);
    find(library, "ncclGroupEnd", found.group_end);
    find(library, "ncclSend", found.send);
    find(library, "ncclRecv", found.receive);
  } catch (const c10::Error& error) {
    reject(std::string("none: ") + error.what_without_backtrace());
  }
  require_version(found);
  return found;
}

void require_version(const Functions& functions) {
  int version = 0;
  if (functions.get_version(&version) != success || version < oldest) reject("version " + version_of(version));
}

const Functions& functions() {
  static const Functions found = load("libnccl.so.2");
  return found;
}

}  // namespace critical_sharpness::nccl
