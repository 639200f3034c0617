#pragma once
#ifdef __CUDACC__
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAStream.h>
#else
#include "cuda_emulation.hpp"  // native/test: the C++ tests run the kernels on the CPU
#endif

namespace critical_sharpness::cuda {

inline constexpr int threads_a_block = 256;

/// Queues a kernel on the current device's current stream.
template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), unsigned blocks, const Arguments&... arguments) {
#ifdef __CUDACC__
  kernel<<<blocks, threads_a_block, 0, c10::cuda::getCurrentCUDAStream()>>>(arguments...);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
#else
  emulation::run([&] { kernel(arguments...); }, blocks, threads_a_block);
#endif
}

}  // namespace critical_sharpness::cuda
