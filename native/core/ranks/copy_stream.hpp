#pragma once
#include <c10/core/Device.h>

#include <functional>
#include <memory>

namespace critical_sharpness {

/// A queue of copies beside what a device computes. A CUDA device's is native/cuda's; the tests have one of the host.
class CopyStream {
 public:
  virtual ~CopyStream() = default;
  /// As NCCL takes it: a cudaStream_t.
  virtual void* handle() = 0;
  /// Copies that are queued from here on wait for all that the device was given to compute before: which writes what they send, and
  /// reads what they write over.
  virtual void begin() = 0;
  /// Whether all copies that are queued by now are over, asked of the result at any time after.
  virtual std::function<bool()> mark() = 0;
};

/// Throws ERR_DEVICE where the build has none for such a device.
std::unique_ptr<CopyStream> copy_stream(at::Device device);

}  // namespace critical_sharpness
