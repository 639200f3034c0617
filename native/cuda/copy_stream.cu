#include "copy_stream.hpp"

#ifdef __CUDACC__
#include <c10/cuda/CUDAEvent.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

namespace critical_sharpness::cuda {
namespace {

using c10::cuda::CUDAEvent;

class SideStream final : public CopyStream {
 public:
  /// In front of what is computed: a layer that is late holds up all that comes after it.
  explicit SideStream(at::Device device) : device_(device), stream_(c10::cuda::getStreamFromPool(/*isHighPriority=*/true, device.index())) {}

  void* handle() override { return stream_.stream(); }

  void begin() override {
    const c10::cuda::CUDAGuard on(device_);
    // A stream waits for an event as it was recorded last when it was told to: the next begin() may record it anew.
    computed_.record(c10::cuda::getCurrentCUDAStream(device_.index()));
    computed_.block(stream_);
  }

  std::function<bool()> mark() override {
    const c10::cuda::CUDAGuard on(device_);
    const auto event = std::make_shared<CUDAEvent>();
    event->record(stream_);
    return [event] { return event->query(); };
  }

 private:
  at::Device device_;
  c10::cuda::CUDAStream stream_;
  CUDAEvent computed_;
};

}  // namespace

std::unique_ptr<CopyStream> copy_stream(at::Device device) { return std::make_unique<SideStream>(device); }

}  // namespace critical_sharpness::cuda
#endif
