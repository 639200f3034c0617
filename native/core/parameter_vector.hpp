#pragma once
#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <vector>

namespace critical_sharpness {

struct ParameterSpec {
  std::string name;
  std::vector<int64_t> shape;
};

/// Names and shapes of a model's parameters, in the order in which all lists of tensors hold them.
struct Layout {
  std::vector<ParameterSpec> parameters;
  at::ScalarType dtype = at::kFloat;  // float32 or float64

  size_t size() const { return parameters.size(); }
  /// Same names, shapes and dtype: vectors of one fit the other.
  bool matches(const Layout& other) const;
};

/// One tensor for each parameter of a layout: a gradient, a direction, a diagonal. An undefined tensor means zeros.
/// The tensors are contiguous, of the layout's dtype, and never written to once the vector is made.
class ParameterVector {
 public:
  ParameterVector(std::shared_ptr<const Layout> layout, std::vector<at::Tensor> tensors);
  /// Uninitialised tensors of the layout's shapes.
  static ParameterVector empty(std::shared_ptr<const Layout> layout);
  static ParameterVector zeros(std::shared_ptr<const Layout> layout);

  const std::shared_ptr<const Layout>& layout() const { return layout_; }
  const std::vector<at::Tensor>& tensors() const { return tensors_; }
  const at::Tensor& operator[](size_t index) const { return tensors_[index]; }
  size_t size() const { return tensors_.size(); }
  int64_t byte_length() const;

  /// Σ aᵢbᵢ in float64; the order of summation does not depend on the number of threads.
  double dot(const ParameterVector& other) const;
  double norm() const;
  ParameterVector scaled(double k) const;
  /// Shares the kept tensors; the others become zeros.
  ParameterVector masked(const std::vector<bool>& keep) const;
  ParameterVector clone() const;

 private:
  std::shared_ptr<const Layout> layout_;
  std::vector<at::Tensor> tensors_;
};

/// Throws ERR_MODEL_MISMATCH with `what` as its subject unless both layouts match.
void require_same_layout(const Layout& expected, const Layout& received, const char* what);

/// Bytes [offset, offset + length) of a tensor (undefined = zeros of `spec`), clipped at its end.
std::vector<uint8_t> read_bytes(const at::Tensor& tensor, const ParameterSpec& spec, at::ScalarType dtype, int64_t offset,
                                int64_t length);

}  // namespace critical_sharpness
