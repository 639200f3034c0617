#include "mapped_file.hpp"

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "check.hpp"
#include "model.hpp"
#include "support.hpp"

using namespace critical_sharpness;
using namespace critical_sharpness::test;

namespace {

/// A folder of this process's own, removed at the end.
struct Folder {
  std::filesystem::path path = std::filesystem::temp_directory_path() / ("critical-sharpness-" + std::to_string(getpid()));
  Folder() { std::filesystem::create_directories(path); }
  ~Folder() { std::filesystem::remove_all(path); }
  /// A file with `padding` bytes, then the tensor's.
  std::string put(const std::string& name, const at::Tensor& tensor, size_t padding = 0) const {
    const std::string file = path / name;
    std::ofstream out(file, std::ios::binary);
    out << std::string(padding, 'x');
    out.write(static_cast<const char*>(tensor.const_data_ptr()), static_cast<std::streamsize>(tensor.nbytes()));
    return file;
  }
};

std::string content(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

const ParameterSpec spec{"p", {10, 5}};
const at::Tensor tensor = random_tensor({10, 5}, at::kFloat, 1);

}  // namespace

TEST("mapped file: values of the file's dtype, aligned or not") {
  const Folder folder;
  for (const auto dtype : {at::kFloat, at::kDouble})
    for (const size_t padding : {0, 8, 64, 4096, 1, 2, 3, 7, 4097}) {
      const at::Tensor stored = tensor.to(dtype);
      const FileTensor place{folder.put("t", stored, padding), static_cast<int64_t>(padding), dtype};
      CHECK(same_bits(FileReader().read(place, spec, dtype), stored));
    }
}

TEST("mapped file: other dtypes are converted, aligned or not") {
  const Folder folder;
  for (const auto dtype : {at::kHalf, at::kBFloat16, at::kFloat, at::kDouble})
    for (const size_t padding : {0, 1, 64})
      for (const auto into : {at::kFloat, at::kDouble}) {
        const at::Tensor stored = tensor.to(dtype);
        const FileTensor place{folder.put("t", stored, padding), static_cast<int64_t>(padding), dtype};
        CHECK(same_bits(FileReader().read(place, spec, into), stored.to(into)));
      }
}

TEST("mapped file: writing to a tensor changes neither the file nor another mapping of it") {
  const Folder folder;
  const FileTensor place{folder.put("t", tensor), 0, at::kFloat};
  const std::string before = content(place.path);
  FileReader reader;
  at::Tensor first = reader.read(place, spec, at::kFloat), second = FileReader().read(place, spec, at::kFloat);
  first.fill_(3);
  CHECK(content(place.path) == before);
  CHECK(same_bits(second, tensor));
}

TEST("mapped file: a tensor outlives its reader, and the file's name: replaced or removed, it keeps what it had") {
  const Folder folder;
  const FileTensor place{folder.put("t", tensor), 0, at::kFloat};
  const at::Tensor mapped = FileReader().read(place, spec, at::kFloat);
  const at::Tensor other = tensor.mul(2);
  std::filesystem::rename(folder.put("new", other), place.path);
  CHECK(same_bits(mapped, tensor));
  const at::Tensor replaced = FileReader().read(place, spec, at::kFloat);
  CHECK(same_bits(replaced, other));
  std::filesystem::remove(place.path);
  CHECK(same_bits(mapped, tensor) && same_bits(replaced, other));
  CHECK_CODE(FileReader().read(place, spec, at::kFloat), "ERR_MODEL_FILE");
}

TEST("mapped file: a file that was replaced by a shorter one is an error, not a fault") {
  const Folder folder;
  const FileTensor place{folder.put("t", tensor), 0, at::kFloat};
  std::filesystem::rename(folder.put("new", tensor[0]), place.path);
  CHECK_CODE(FileReader().read(place, spec, at::kFloat), "ERR_MODEL_FILE");
}

TEST("mapped file: places outside of the file are errors") {
  const Folder folder;
  const std::string file = folder.put("t", tensor, 8);
  const auto size = static_cast<int64_t>(tensor.nbytes()) + 8;
  for (const int64_t offset : {int64_t{-1}, int64_t{-8}, int64_t{9}, int64_t{12}, size - 1, size, size + 1, int64_t{1} << 62,
                               std::numeric_limits<int64_t>::max(), std::numeric_limits<int64_t>::min()})
    CHECK_CODE(FileReader().read({file, offset, at::kFloat}, spec, at::kFloat), "ERR_MODEL_FILE");
  CHECK_CODE(FileReader().read({file, 0, at::kDouble}, spec, at::kFloat), "ERR_MODEL_FILE");
  CHECK_CODE(FileReader().read({file, 8, at::kFloat}, {"p", {10, 6}}, at::kFloat), "ERR_MODEL_FILE");
  CHECK_CODE(FileReader().read({file, 8, at::kFloat}, {"p", {1 << 30, 1 << 30}}, at::kFloat), "ERR_MODEL_FILE");
  CHECK(same_bits(FileReader().read({file, 8, at::kFloat}, spec, at::kFloat), tensor));
}

TEST("mapped file: what is no regular file with content is an error") {
  const Folder folder;
  const std::string empty = folder.path / "empty";
  std::ofstream(empty).flush();
  for (const std::string& path : {empty, folder.path.string(), std::string("/dev/null"), std::string("/dev/zero"),
                                  folder.path.string() + "/none", std::string()})
    CHECK_CODE(FileReader().read({path, 0, at::kFloat}, spec, at::kFloat), "ERR_MODEL_FILE");
}

TEST("mapped file: a file that failed can be read later by the same reader") {
  const Folder folder;
  const std::string file = folder.path / "t";
  FileReader reader;
  CHECK_CODE(reader.read({file, 0, at::kFloat}, spec, at::kFloat), "ERR_MODEL_FILE");
  folder.put("t", tensor);
  CHECK(same_bits(reader.read({file, 0, at::kFloat}, spec, at::kFloat), tensor));
}

TEST("mapped file: pieces of several files, with strides, aligned or not") {
  const Folder folder;
  const at::Tensor left = tensor.narrow(1, 0, 2).contiguous(), right = tensor.narrow(1, 2, 3).t().contiguous();
  for (const size_t padding : {0, 64, 3}) {
    const auto offset = static_cast<int64_t>(padding);
    FileTensor place;
    place.pieces = {{folder.put("left", left, padding), offset, {2, 1}, {0, 0}, {10, 2}},
                    {folder.put("right", right, padding), offset, {1, 10}, {0, 2}, {10, 3}}};
    CHECK(same_bits(FileReader().read(place, spec, at::kFloat), tensor));
    CHECK(same_bits(FileReader().read(place, spec, at::kDouble), tensor.to(at::kDouble)));
  }
}

TEST("mapped file: a tensor without axes, and one without numbers, in a piece") {
  const Folder folder;
  const std::string file = folder.put("t", tensor);
  FileTensor scalar;
  scalar.pieces = {{file, 4, {}, {}, {}}};
  CHECK(same_bits(FileReader().read(scalar, {"p", {}}, at::kFloat), tensor.view({-1})[1]));
  FileTensor none;
  none.pieces = {{file, 0, {5, 1}, {0, 0}, {0, 5}}};
  CHECK(FileReader().read(none, {"p", {0, 5}}, at::kFloat).numel() == 0);
}

TEST("mapped file: pieces outside of the tensor or the file, and ones that leave some of it out, are errors") {
  const Folder folder;
  const std::string file = folder.put("t", tensor);
  const auto whole = FilePiece{file, 0, {5, 1}, {0, 0}, {10, 5}};
  const auto refused = [&](auto change) {
    FileTensor place;
    place.pieces = {whole};
    change(place.pieces[0]);
    CHECK_CODE(FileReader().read(place, spec, at::kFloat), "ERR_MODEL_FILE");
  };
  refused([](FilePiece& piece) { piece.start = {1, 0}; });
  refused([](FilePiece& piece) { piece.start = {-1, 0}; });
  refused([](FilePiece& piece) { piece.shape = {10}; });
  refused([](FilePiece& piece) { piece.shape = {9, 5}; });
  refused([](FilePiece& piece) { piece.strides = {-5, 1}; });
  refused([](FilePiece& piece) { piece.strides = {6, 1}; });
  refused([](FilePiece& piece) { piece.strides = {int64_t{1} << 62, int64_t{1} << 62}; });
  refused([](FilePiece& piece) { piece.byte_offset = 4; });
  refused([](FilePiece& piece) { piece.byte_offset = std::numeric_limits<int64_t>::max(); });
}
