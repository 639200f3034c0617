#include "tensor_bytes.hpp"

#include <algorithm>

namespace critical_sharpness {

std::vector<uint8_t> bytes_of(const at::Tensor& tensor, int64_t offset, int64_t length) {
  const auto total = static_cast<int64_t>(tensor.nbytes()), start = std::clamp<int64_t>(offset, 0, total);
  const int64_t count = std::clamp<int64_t>(length, 0, total - start);
  const at::Tensor part = tensor.view({-1}).view(at::kByte).narrow(0, start, count).to(at::kCPU);
  const auto* bytes = part.const_data_ptr<uint8_t>();
  return {bytes, bytes + count};
}

}  // namespace critical_sharpness
