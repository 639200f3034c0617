#pragma once
#include <ATen/core/Tensor.h>
#include <c10/core/DeviceGuard.h>

// The one place where a kernel's tensors choose between this folder's loops and native/cuda: at the head of a function,
//   CS_ON_CUDA(tensor, function(arguments…));
// returns cuda::function's result for a tensor that lies on a CUDA device. A build without CUDA has no such tensors.
#ifdef CRITICAL_SHARPNESS_WITH_CUDA
#include "../../cuda/kernels.hpp"
#define CS_ON_CUDA(tensor, call)                                 \
  if ((tensor).is_cuda()) {                                      \
    const c10::DeviceGuard on((tensor).device());                \
    return ::critical_sharpness::cuda::call;                     \
  }
#else
#define CS_ON_CUDA(tensor, call) static_cast<void>(0)
#endif
