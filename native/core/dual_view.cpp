#include "dual_view.hpp"

#include <ATen/ops/embedding.h>

namespace critical_sharpness {

at::Tensor DualView::value(size_t index, at::ScalarType dtype, Scratch::Slot) { return leaves_[index].detach().to(dtype); }

at::Tensor DualView::embedding(const at::Tensor& ids, size_t weight) {
  return at::embedding(leaves_[weight].detach(), ids);
}

at::Tensor DualView::linear(const at::Tensor& x, size_t weight, std::optional<size_t> bias, Storage storage) {
  std::optional<dual::Weight> b;
  if (bias) b = this->weight(*bias);
  return dual::linear(x.to(compute_dtype()), this->weight(weight), b, storage == Storage::out_in, gauss_newton_);
}

at::Tensor DualView::layer_norm(const at::Tensor& x, size_t weight, size_t bias, double epsilon) {
  return dual::layer_norm(x, this->weight(weight), this->weight(bias), epsilon);
}

at::Tensor DualView::embed(const at::Tensor& ids, size_t tokens, size_t positions) {
  return dual::embedding(ids, weight(tokens), weight(positions));
}

at::Tensor DualView::activation(const at::Tensor& x, Activation kind) { return dual::activation(x, kind); }

at::Tensor DualView::attention(const at::Tensor& qkv, int64_t batch, int64_t length, int64_t heads) {
  return dual::attention(qkv, batch, length, heads, gauss_newton_);
}

}  // namespace critical_sharpness
