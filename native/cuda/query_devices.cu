#include "query_devices.hpp"

#ifdef __CUDACC__
#include <ATen/ops/empty.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <cuda_runtime_api.h>

namespace critical_sharpness::cuda {
namespace {

/// Of 13000: "13.0".
std::string version_of(int number) { return std::to_string(number / 1000) + "." + std::to_string(number % 1000 / 10); }

}  // namespace

CudaDevices devices() {
  CudaDevices found;
  found.built = true;
  int driver = 0, count = 0;
  if (cudaDriverGetVersion(&driver) == cudaSuccess && driver > 0) found.driver = version_of(driver);
  if (const cudaError_t error = cudaGetDeviceCount(&count); error != cudaSuccess) {
    found.problem = cudaGetErrorString(error);
    cudaGetLastError();  // it is told here, not to whoever asks next
    return found;
  }
  if (count == 0) found.problem = "no CUDA-capable device is detected";
  for (int i = 0; i < count; i++) {
    cudaDeviceProp properties;
    if (cudaGetDeviceProperties(&properties, i) != cudaSuccess) continue;
    found.devices.push_back({properties.name, static_cast<int64_t>(properties.totalGlobalMem),
                             std::to_string(properties.major) + "." + std::to_string(properties.minor)});
  }
  return found;
}

DeviceMemory device_memory(int device, bool reset_peak) {
  namespace allocator = c10::cuda::CUDACachingAllocator;
  const auto index = static_cast<c10::DeviceIndex>(device);
  at::empty({1}, at::TensorOptions(at::kByte).device(at::kCUDA, index));  // the allocator may not have been used yet
  const auto total = static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE);
  const auto stats = allocator::getDeviceStats(index);
  if (reset_peak) allocator::resetPeakStats(index);
  return {stats.allocated_bytes[total].current, stats.allocated_bytes[total].peak, stats.reserved_bytes[total].current,
          stats.num_device_alloc};
}

}  // namespace critical_sharpness::cuda
#endif
