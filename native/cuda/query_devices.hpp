#pragma once
#include "devices.hpp"

namespace critical_sharpness::cuda {

/// Asks the driver, and so sets CUDA up in this process. Never throws.
CudaDevices devices();
DeviceMemory device_memory(int device, bool reset_peak);

}  // namespace critical_sharpness::cuda
