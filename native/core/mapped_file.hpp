#pragma once
#include <ATen/core/Tensor.h>

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "parameter_vector.hpp"

namespace critical_sharpness {

struct FilePiece;
struct FileTensor;

/// Tensors out of files. Each file is mapped once, copy-on-write: pages are read when they are used, and writing to a
/// tensor changes memory, never the file. The mapping lives as long as a tensor that uses it.
class FileReader {
 public:
  /// The tensor with these options, or a run of its numbers, of one axis; mapped where that is the file's own dtype, on the CPU, and
  /// the bytes are aligned and in one piece; else converted and copied.
  at::Tensor read(const FileTensor& tensor, const ParameterSpec& spec, at::TensorOptions options, const Cancellation& cancel = {},
                  const std::optional<Extent>& run = std::nullopt);

 private:
  struct Mapping;
  std::shared_ptr<Mapping> open(const std::string& path);
  /// `count` numbers from `byte_offset`: mapped, or a copy where they are not aligned.
  at::Tensor read_block(const std::string& path, int64_t byte_offset, int64_t count, at::ScalarType dtype, const std::string& name,
                        const Cancellation& cancel);
  at::Tensor read_pieces(const FileTensor& tensor, const ParameterSpec& spec, at::ScalarType dtype, const Cancellation& cancel);
  std::map<std::string, std::shared_ptr<Mapping>> files_;
};

}  // namespace critical_sharpness
