#pragma once
#include "ranks/copy_stream.hpp"

namespace critical_sharpness::cuda {

std::unique_ptr<CopyStream> copy_stream(at::Device device);

}  // namespace critical_sharpness::cuda
