#include "devices.hpp"

#include "errors.hpp"
#ifdef CRITICAL_SHARPNESS_WITH_CUDA
#include "../cuda/query_devices.hpp"
#endif

namespace critical_sharpness {
namespace {

[[noreturn]] void reject(const std::string& message) { throw InputError(InputError::Kind::state, "ERR_DEVICE", message); }

/// The number in "cuda:1"; −1 for what is no CUDA device's name.
int number_of(const std::string& name) {
  const std::string digits = name.rfind("cuda:", 0) == 0 ? name.substr(5) : "";
  const bool usable = !digits.empty() && digits.size() <= 2 && digits.find_first_not_of("0123456789") == std::string::npos &&
                      (digits == "0" || digits[0] != '0');
  return usable ? std::stoi(digits) : -1;
}

}  // namespace

CudaDevices cuda_devices() {
#ifdef CRITICAL_SHARPNESS_WITH_CUDA
  return cuda::devices();
#else
  return {};
#endif
}

DeviceMemory device_memory([[maybe_unused]] at::Device device, [[maybe_unused]] bool reset_peak) {
#ifdef CRITICAL_SHARPNESS_WITH_CUDA
  if (device.is_cuda()) return cuda::device_memory(device.index(), reset_peak);
#endif
  return {};
}

at::Device find_device(const std::string& name, int number_of_cuda) {
  if (name == "cpu") return at::kCPU;
  int number = name == "cuda" ? number_of_cuda : number_of(name);
  if (number < 0) reject_range("Expected \"cpu\", \"cuda\" or \"cuda:<number>\" for the device but received \"" + name + "\"");
  const CudaDevices found = cuda_devices();
  if (!found.built)
    reject("Expected an addon built with CUDA for the device \"" + name +
           "\" but received one for the CPU alone, as the prebuilt packages are. In a source checkout run `npm run build -- --cuda` "
           "with LIBTORCH_USE_PYTORCH=1 and a PyTorch that has CUDA; docs/installation.md says more");
  if (found.devices.empty())
    reject("Expected a CUDA device for the device \"" + name + "\" but received none: " + found.problem +
           ". Run `nvidia-smi` to see whether there is one and whether its driver works, or use the device \"cpu\"");
  const auto count = static_cast<int>(found.devices.size());
  if (name == "cuda" && count == 1) number = 0;
  if (number >= count)
    reject("Expected one of the " + std::to_string(count) + " CUDA devices of this machine, \"cuda:0\"" +
           (count > 1 ? " to \"cuda:" + std::to_string(count - 1) + "\"" : "") + ", for the device but received \"" + name +
           (name == "cuda" ? "\" in the process of number " + std::to_string(number) + " of this host" : "\"") + ". CUDA_VISIBLE_DEVICES chooses which ones a process sees");
  return {at::kCUDA, static_cast<at::DeviceIndex>(number)};
}

}  // namespace critical_sharpness
