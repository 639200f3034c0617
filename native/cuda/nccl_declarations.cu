// Whether core/ranks/nccl_functions.hpp declares what NCCL's header does, where that is at hand.
#include "ranks/nccl_functions.hpp"

#if defined(__CUDACC__) && __has_include(<nccl.h>)
#include <nccl.h>

#include <type_traits>

namespace critical_sharpness::nccl {

static_assert(success == int{ncclSuccess} && unhandled_cuda_error == int{ncclUnhandledCudaError} && system_error == int{ncclSystemError} &&
              internal_error == int{ncclInternalError} && invalid_argument == int{ncclInvalidArgument} &&
              invalid_usage == int{ncclInvalidUsage} && remote_error == int{ncclRemoteError} && in_progress == int{ncclInProgress});
static_assert(sizeof(Result) == sizeof(ncclResult_t) && sizeof(int) == sizeof(ncclDataType_t) && byte == int{ncclUint8});
static_assert(sizeof(UniqueId) == sizeof(ncclUniqueId) && alignof(UniqueId) == alignof(ncclUniqueId));
static_assert(offsetof(Config, size) == offsetof(ncclConfig_t, size) && offsetof(Config, magic) == offsetof(ncclConfig_t, magic) &&
              offsetof(Config, version) == offsetof(ncclConfig_t, version) && offsetof(Config, blocking) == offsetof(ncclConfig_t, blocking) &&
              sizeof(Config) <= sizeof(ncclConfig_t));
static_assert(sizeof(cudaStream_t) == sizeof(void*) && sizeof(ncclComm_t) == sizeof(void*));

static_assert(std::is_same_v<decltype(ncclGetVersion), ncclResult_t(int*)>);
static_assert(std::is_same_v<decltype(ncclGetErrorString), const char*(ncclResult_t)>);
static_assert(std::is_same_v<decltype(ncclGetUniqueId), ncclResult_t(ncclUniqueId*)>);
static_assert(std::is_same_v<decltype(ncclCommInitRankConfig), ncclResult_t(ncclComm_t*, int, ncclUniqueId, int, ncclConfig_t*)>);
static_assert(std::is_same_v<decltype(ncclCommGetAsyncError), ncclResult_t(ncclComm_t, ncclResult_t*)>);
static_assert(std::is_same_v<decltype(ncclCommAbort), ncclResult_t(ncclComm_t)>);
static_assert(std::is_same_v<decltype(ncclGroupStart), ncclResult_t()> && std::is_same_v<decltype(ncclGroupEnd), ncclResult_t()>);
static_assert(std::is_same_v<decltype(ncclSend), ncclResult_t(const void*, size_t, ncclDataType_t, int, ncclComm_t, cudaStream_t)>);
static_assert(std::is_same_v<decltype(ncclRecv), ncclResult_t(void*, size_t, ncclDataType_t, int, ncclComm_t, cudaStream_t)>);

}  // namespace critical_sharpness::nccl
#endif
