#pragma once
// The part of NCCL's C interface that nccl_endpoint.cpp uses, by declarations of our own: a build needs no header and no library
// of it, and libtorch's brings what a process then finds. native/cuda/nccl_declarations.cu holds them against nccl.h.
#include <cstddef>

namespace critical_sharpness::nccl {

enum Result : int {
  success = 0,
  unhandled_cuda_error = 1,
  system_error = 2,
  internal_error = 3,
  invalid_argument = 4,
  invalid_usage = 5,
  remote_error = 6,
  in_progress = 7,
};

inline constexpr int byte = 1;  // ncclUint8

struct UniqueId {
  char bytes[128];
};

/// As NCCL 2.14 has it, the first that has it: a later one takes its own defaults for what came since.
struct Config {
  size_t size = sizeof(Config);
  unsigned magic = 0xcafebeef;
  unsigned version = 21400;
  int blocking = 0;
};

struct Communicator;

struct Functions {
  Result (*get_version)(int* version);
  const char* (*get_error_string)(Result result);
  Result (*get_unique_id)(UniqueId* id);
  Result (*comm_init_rank_config)(Communicator** made, int size, UniqueId id, int rank, Config* config);
  Result (*comm_get_async_error)(Communicator* of, Result* error);
  Result (*comm_abort)(Communicator* of);
  Result (*group_start)();
  Result (*group_end)();
  Result (*send)(const void* bytes, size_t count, int type, int to, Communicator* by, void* stream);
  Result (*receive)(void* bytes, size_t count, int type, int from, Communicator* by, void* stream);
};

/// Those of a library, which stays loaded. Throws ERR_GROUP where there is none, or one that is too old.
Functions load(const char* library);
/// Throws ERR_GROUP where it is too old.
void require_version(const Functions& functions);
/// Of the NCCL that libtorch computes with.
const Functions& functions();

}  // namespace critical_sharpness::nccl
