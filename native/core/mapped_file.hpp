#pragma once
#include <ATen/core/Tensor.h>

#include <map>
#include <memory>
#include <string>

#include "parameter_vector.hpp"

namespace critical_sharpness {

struct FileTensor;

/// Tensors out of files. Each file is mapped once, copy-on-write: pages are read when they are used, and writing to a
/// tensor changes memory, never the file. The mapping lives as long as a tensor that uses it.
class FileReader {
 public:
  /// The tensor with these options; mapped where that is the file's own dtype, on the CPU, and the bytes are aligned; else
  /// converted and copied.
  at::Tensor read(const FileTensor& tensor, const ParameterSpec& spec, at::TensorOptions options, const Cancellation& cancel = {});

 private:
  struct Mapping;
  std::shared_ptr<Mapping> open(const std::string& path);
  std::map<std::string, std::shared_ptr<Mapping>> files_;
};

}  // namespace critical_sharpness
