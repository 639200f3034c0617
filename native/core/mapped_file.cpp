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

void check_piece(const FilePiece& piece, const ParameterSpec& spec) {
  const size_t rank = spec.shape.size();
  bool fits = piece.shape.size() == rank && piece.start.size() == rank && piece.strides.size() == rank;
  for (size_t axis = 0; fits && axis < rank; axis++)
    fits = piece.start[axis] >= 0 && piece.shape[axis] >= 0 && piece.strides[axis] >= 0 &&
           piece.start[axis] <= spec.shape[axis] && piece.shape[axis] <= spec.shape[axis] - piece.start[axis];
  if (!fits) reject_file("Expected pieces within the tensor \"" + spec.name + "\" but received one that leads out of it");
}

/// Numbers from a piece's first one to its last.
int64_t extent(const FilePiece& piece, const std::string& name) {
  int64_t last = 0;
  for (size_t axis = 0; axis < piece.shape.size(); axis++) {
    if (piece.shape[axis] == 0) return 0;
    int64_t along = 0;
    if (__builtin_mul_overflow(piece.shape[axis] - 1, piece.strides[axis], &along) || __builtin_add_overflow(last, along, &last))
      reject_file("Expected strides within a file for \"" + name + "\" but received ones of more than 2^63 numbers");
  }
  return last + 1;
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

at::Tensor FileReader::read_block(const std::string& path, int64_t byte_offset, int64_t count, at::ScalarType dtype,
                                  const std::string& name, const Cancellation& cancel) {
  const auto mapping = open(path);
  const auto element = static_cast<int64_t>(c10::elementSize(dtype));
  int64_t bytes = 0;
  if (__builtin_mul_overflow(count, element, &bytes) || byte_offset < 0 || byte_offset > mapping->length ||
      bytes > mapping->length - byte_offset)
    reject_file("Expected " + std::to_string(count) + " numbers at " + std::to_string(byte_offset) + " of \"" + path + "\" for \"" +
                name + "\" but received a file of " + std::to_string(mapping->length) + " bytes");
  char* data = mapping->data + byte_offset;
  // The deleter's capture is what keeps the mapping.
  if (byte_offset % element == 0) return at::from_blob(data, {count}, [mapping](void*) {}, at::TensorOptions(dtype));
  at::Tensor copy = at::empty({count}, dtype);
  in_stretches(count, cancel, [&](int64_t start, int64_t length) {
    std::memcpy(stretch(copy, start, length).mutable_data_ptr(), data + start * element, static_cast<size_t>(length * element));
  });
  return copy;
}

at::Tensor FileReader::read(const FileTensor& tensor, const ParameterSpec& spec, at::TensorOptions options, const Cancellation& cancel,
                            const std::optional<Extent>& run) {
  if (!tensor.pieces.empty()) {
    const at::Tensor whole = read_pieces(tensor, spec, c10::typeMetaToScalarType(options.dtype()), cancel);
    return converted(run ? copied_run(whole, *run) : whole, options, cancel);
  }
  const at::Tensor whole = read_block(tensor.path, tensor.byte_offset, spec.numel(), tensor.dtype, spec.name, cancel);
  // Of a mapped file no page is read but the run's.
  return converted(run ? whole.narrow(0, run->start, run->length) : whole.view(spec.shape), options, cancel);
}

at::Tensor FileReader::read_pieces(const FileTensor& tensor, const ParameterSpec& spec, at::ScalarType dtype,
                                   const Cancellation& cancel) {
  at::Tensor whole = at::empty(spec.shape, dtype);
  int64_t read = 0;
  for (const FilePiece& piece : tensor.pieces) {
    cancel.check();
    check_piece(piece, spec);
    const int64_t count = extent(piece, spec.name);
    if (count == 0) continue;
    const at::Tensor block = read_block(piece.path, piece.byte_offset, count, tensor.dtype, spec.name, cancel);
    at::Tensor box = whole;
    for (size_t axis = 0; axis < piece.shape.size(); axis++)
      box = box.narrow(static_cast<int64_t>(axis), piece.start[axis], piece.shape[axis]);
    box.copy_(block.as_strided(piece.shape, piece.strides));
    read += box.numel();
  }
  if (read != whole.numel())
    reject_file("Expected pieces with " + std::to_string(whole.numel()) + " numbers in all for \"" + spec.name + "\" but received " +
                std::to_string(read));
  return whole;
}

}  // namespace critical_sharpness
