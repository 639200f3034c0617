#include "ranks/copy_stream.hpp"

#include "errors.hpp"
#ifdef CRITICAL_SHARPNESS_WITH_CUDA
#include "../../cuda/copy_stream.hpp"
#endif

namespace critical_sharpness {

std::unique_ptr<CopyStream> copy_stream(at::Device device) {
#ifdef CRITICAL_SHARPNESS_WITH_CUDA
  if (device.is_cuda()) return cuda::copy_stream(device);
#endif
  throw InputError(InputError::Kind::state, "ERR_DEVICE",
                   "Expected a CUDA device, in a build with CUDA, for transfers by NCCL but received " + device.str());
}

}  // namespace critical_sharpness
