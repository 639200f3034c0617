#pragma once
#include <c10/core/Device.h>

#include <cstdint>
#include <string>
#include <vector>

namespace critical_sharpness {

struct CudaDevice {
  std::string name;
  int64_t memory = 0;      // bytes
  std::string capability;  // "9.0"
};

/// What CUDA offers to this process.
struct CudaDevices {
  bool built = false;   // whether this build has it
  std::string driver;   // the version of CUDA that the driver is made for, "13.0"; empty: there is no driver
  std::string problem;  // why there are no devices, in the runtime's words
  std::vector<CudaDevice> devices;
};

CudaDevices cuda_devices();

/// What libtorch's allocator holds of a CUDA device's memory, in bytes.
struct DeviceMemory {
  int64_t allocated = 0, peak = 0;  // in tensors, now and at most
  int64_t reserved = 0;             // from the driver
  int64_t driver_allocations = 0;   // how often it has asked the driver for memory
};
/// Of a device that `find_device` gave; all 0 for the CPU. `reset_peak`: the peak counts anew from here.
DeviceMemory device_memory(at::Device device, bool reset_peak);

/// Of "cpu", "cuda" or "cuda:1". Throws ERR_DEVICE, with what helps, where the build or the machine has no such device. "cuda" is the
/// only one there is, or the one of that number: of several processes each takes its own.
at::Device find_device(const std::string& name, int number_of_cuda = 0);

}  // namespace critical_sharpness
