#pragma once
#include <ATen/core/Tensor.h>
#include <c10/core/TensorOptions.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace critical_sharpness {

class Group;
class Shards;

struct ParameterSpec {
  std::string name;
  std::vector<int64_t> shape;

  int64_t numel() const;
};

/// A run of a parameter's numbers, in the order of their memory.
struct Extent {
  int64_t start = 0, length = 0;
};

/// Names and shapes of a model's parameters, in the order in which all lists of tensors hold them.
struct Layout {
  std::vector<ParameterSpec> parameters;
  at::ScalarType dtype = at::kFloat;  // float32 or float64
  at::Device device = at::kCPU;       // where their tensors lie
  /// Of each parameter; a frozen one has no gradient, no state, no Δ. Empty: all are.
  std::vector<bool> trainable;
  /// The ranks that share the parameters, and what each keeps of them. Null: one process has all.
  std::shared_ptr<Group> group;
  std::shared_ptr<const Shards> shards;

  size_t size() const { return parameters.size(); }
  at::TensorOptions options() const { return at::TensorOptions(dtype).device(device); }
  bool is_trainable(size_t parameter) const { return trainable.empty() || trainable[parameter]; }
  /// This rank's run of a parameter's numbers. None: all of them are here.
  std::optional<Extent> run(size_t parameter) const;
  bool is_whole(size_t parameter) const { return !run(parameter); }
  /// Numbers of a parameter here, and the shape of tensors of them: the parameter's own, or [length].
  int64_t local_numel(size_t parameter) const;
  std::vector<int64_t> local_shape(size_t parameter) const;
  /// Of a vector without undefined tensors, here.
  int64_t byte_length() const;
  /// Same names, shapes, dtype, device and group: vectors of one fit the other.
  bool matches(const Layout& other) const;
};

/// A run of a contiguous tensor's numbers, of one axis, in memory of its own.
at::Tensor copied_run(const at::Tensor& whole, const Extent& run);

/// Throws ERR_MODEL_MISMATCH with `what` as its subject unless both layouts match.
void require_same_layout(const Layout& expected, const Layout& received, const char* what);

}  // namespace critical_sharpness
