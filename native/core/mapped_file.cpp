#include "mapped_file.hpp"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <c10/util/accumulate.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

#include "errors.hpp"
#include "model.hpp"
#include "stretches.hpp"

namespace critical_sharpness {
namespace {

[[noreturn]] void reject_file(const std::string& message) {
  throw InputError(InputError::Kind::state, "ERR_MODEL_FILE", message);
}

}  // namespace

struct FileReader::Mapping {
  char* data = nullptr;
  int64_t length = 0;
  ~Mapping() {
    if (data) munmap(data, static_cast<size_t>(length));
  }
};

std::shared_ptr<FileReader::Mapping> FileReader::open(const std::string& path) {
  auto& mapping = files_[path];
  if (mapping) return mapping;
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) reject_file("Expected a readable file for \"" + path + "\" but received: " + std::strerror(errno));
  // Reading fails on a folder, seeking on a pipe. (fstat would need glibc 2.33.)
  char first;
  const int64_t length = ::read(file, &first, 1) == 1 ? lseek(file, 0, SEEK_END) : 0;
  const bool usable = length > 0;
  void* data = usable ? mmap(nullptr, static_cast<size_t>(length), PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0) : MAP_FAILED;
  const int error = errno;
  close(file);
  if (!usable) reject_file("Expected a regular file with content for \"" + path + "\" but received another kind of file or an empty one");
  if (data == MAP_FAILED) reject_file("Expected a file that can be mapped for \"" + path + "\" but received: " + std::strerror(error));
  mapping = std::make_shared<Mapping>();
  mapping->data = static_cast<char*>(data);
  mapping->length = length;
  return mapping;
}

at::Tensor FileReader::read(const FileTensor& tensor, const ParameterSpec& spec, at::TensorOptions options,
                            const Cancellation& cancel) {
  const auto mapping = open(tensor.path);
  const auto element = static_cast<int64_t>(c10::elementSize(tensor.dtype));
  const int64_t bytes = c10::multiply_integers(spec.shape) * element;
  if (tensor.byte_offset < 0 || tensor.byte_offset > mapping->length || bytes > mapping->length - tensor.byte_offset)
    reject_file("Expected " + std::to_string(bytes) + " bytes at " + std::to_string(tensor.byte_offset) + " of \"" + tensor.path +
                "\" for \"" + spec.name + "\" but received a file of " + std::to_string(mapping->length) + " bytes");
  char* data = mapping->data + tensor.byte_offset;
  if (tensor.byte_offset % element != 0) {
    at::Tensor copy = at::empty(spec.shape, tensor.dtype);
    in_stretches(copy.numel(), cancel, [&](int64_t start, int64_t length) {
      std::memcpy(stretch(copy, start, length).mutable_data_ptr(), data + start * element, static_cast<size_t>(length * element));
    });
    return converted(copy, options, cancel);
  }
  // The deleter's capture is what keeps the mapping.
  const at::Tensor mapped = at::from_blob(data, spec.shape, [mapping](void*) {}, at::TensorOptions(tensor.dtype));
  return converted(mapped, options, cancel);
}

}  // namespace critical_sharpness
