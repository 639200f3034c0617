#pragma once
#include <c10/core/TensorOptions.h>

#include <memory>
#include <string>
#include <vector>

namespace critical_sharpness {

struct ParameterSpec {
  std::string name;
  std::vector<int64_t> shape;

  int64_t numel() const;
};

/// Names and shapes of a model's parameters, in the order in which all lists of tensors hold them.
struct Layout {
  std::vector<ParameterSpec> parameters;
  at::ScalarType dtype = at::kFloat;  // float32 or float64
  at::Device device = at::kCPU;       // where their tensors lie
  /// Of each parameter; a frozen one has no gradient, no state, no Δ. Empty: all are.
  std::vector<bool> trainable;

  size_t size() const { return parameters.size(); }
  at::TensorOptions options() const { return at::TensorOptions(dtype).device(device); }
  bool is_trainable(size_t parameter) const { return trainable.empty() || trainable[parameter]; }
  /// Of a vector without undefined tensors.
  int64_t byte_length() const;
  /// Same names, shapes, dtype and device: vectors of one fit the other.
  bool matches(const Layout& other) const;
};

/// Throws ERR_MODEL_MISMATCH with `what` as its subject unless both layouts match.
void require_same_layout(const Layout& expected, const Layout& received, const char* what);

}  // namespace critical_sharpness
