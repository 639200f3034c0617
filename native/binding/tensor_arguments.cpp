#include "tensor_arguments.hpp"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include <cstring>
#include <limits>

#include "arguments.hpp"
#include "handles.hpp"
#include "js_error.hpp"

namespace critical_sharpness::binding {
namespace {

const char* array_names(Numbers numbers) {
  switch (numbers) {
    case Numbers::integers: return "a BigInt64Array";
    case Numbers::floats: return "a Float32Array or Float64Array";
    case Numbers::either: break;
  }
  return "a Float32Array, Float64Array or BigInt64Array";
}

/// Undefined for types that are not among `numbers`.
at::ScalarType dtype_of(napi_typedarray_type type, Numbers numbers) {
  if (type == napi_bigint64_array && numbers != Numbers::floats) return at::kLong;
  if (type == napi_float32_array && numbers != Numbers::integers) return at::kFloat;
  if (type == napi_float64_array && numbers != Numbers::integers) return at::kDouble;
  return at::ScalarType::Undefined;
}

struct Elements {
  napi_typedarray_type type{};
  void* data = nullptr;
};

/// Those of a typed array that has as many as the shape says.
Elements read_elements(const Napi::Value& value, const char* names, const std::vector<int64_t>& shape, const std::string& subject) {
  if (!value.IsTypedArray()) throw type_error(value, names, subject);
  Elements elements;
  size_t length = 0;
  napi_value buffer = nullptr;
  bool owned = false;  // false for a SharedArrayBuffer, whose content another thread may be writing
  if (napi_get_typedarray_info(value.Env(), value, &elements.type, &length, &elements.data, &buffer, nullptr) != napi_ok ||
      napi_is_arraybuffer(value.Env(), buffer, &owned) != napi_ok)
    throw type_error(value, "a typed array that can be read", subject);
  if (!owned) throw type_error(value, "a typed array over memory of its own (slice() makes one), not a SharedArrayBuffer,", subject);
  int64_t product = 1;  // cannot overflow: read_shape limits it
  for (const int64_t size : shape) product *= size;
  if (static_cast<int64_t>(length) != product)  // detached arrays, and those out of their buffer's bounds, have length 0
    reject_range("Expected " + std::to_string(product) + " numbers, as the shape says, for " + subject + " but received " +
                 std::to_string(length));
  return elements;
}

std::string read_path(const Napi::Object& place, const std::string& subject) {
  const Napi::Value value = place.Get("path");
  std::string path = read_string(value, subject + ".path");
  // The system would take a path with a zero byte for the shorter one before it.
  if (path.empty() || path.find('\0') != std::string::npos)
    throw range_error(value, "a non-empty path without zero bytes", subject + ".path");
  return path;
}

int64_t read_byte_offset(const Napi::Object& place, const std::string& subject) {
  return read_integer(place.Get("byteOffset"), subject + ".byteOffset", 0, int64_t{1} << 53);
}

/// A tensor has at most as many axes, and a checkpoint of many processes as many parts of it.
constexpr uint32_t most_axes = 64, most_pieces = 1 << 20;

std::vector<int64_t> read_integers(const Napi::Value& value, const std::string& subject) {
  const Napi::Array array = read_array(value, subject, 0, most_axes);
  std::vector<int64_t> integers;
  for (uint32_t i = 0; i < array.Length(); i++)
    integers.push_back(read_integer(array.Get(i), subject + "[" + std::to_string(i) + "]", 0, int64_t{1} << 53));
  return integers;
}

FilePiece read_piece(const Napi::Value& value, const std::string& subject) {
  const Napi::Object place = read_object(value, subject);
  const auto numbers = [&](const char* key) { return read_integers(place.Get(key), subject + "." + key); };
  return {read_path(place, subject), read_byte_offset(place, subject), numbers("strides"), numbers("start"), numbers("shape")};
}

FileTensor read_file_tensor(const Napi::Value& value, const std::string& subject) {
  const Napi::Object place = read_object(value, subject);
  FileTensor tensor;
  const Napi::Value pieces = place.Get("pieces");
  if (pieces.IsUndefined()) {
    tensor.path = read_path(place, subject);
    tensor.byte_offset = read_byte_offset(place, subject);
  } else {
    const Napi::Array array = read_array(pieces, subject + ".pieces", 1, most_pieces);
    for (uint32_t i = 0; i < array.Length(); i++)
      tensor.pieces.push_back(read_piece(array.Get(i), subject + ".pieces[" + std::to_string(i) + "]"));
  }
  tensor.dtype = read_choice<at::ScalarType>(
      place.Get("dtype"), subject + ".dtype",
      {{"float32", at::kFloat}, {"float64", at::kDouble}, {"float16", at::kHalf}, {"bfloat16", at::kBFloat16}});
  return tensor;
}

}  // namespace

at::Tensor read_tensor(const Napi::Value& value, Numbers numbers, const std::vector<int64_t>& shape, const std::string& subject) {
  const Elements given = read_elements(value, array_names(numbers), shape, subject);
  const at::ScalarType dtype = dtype_of(given.type, numbers);
  if (dtype == at::ScalarType::Undefined) throw type_error(value, array_names(numbers), subject);
  at::Tensor tensor = at::empty(shape, dtype);
  std::memcpy(tensor.mutable_data_ptr(), given.data, tensor.nbytes());
  return tensor;
}

at::Tensor read_bytes_as(const Napi::Value& value, at::ScalarType dtype, const std::vector<int64_t>& shape, const std::string& subject) {
  std::vector<int64_t> bytes = shape;
  bytes.push_back(static_cast<int64_t>(c10::elementSize(dtype)));
  const Elements given = read_elements(value, "a Uint8Array", bytes, subject);
  if (given.type != napi_uint8_array) throw type_error(value, "a Uint8Array", subject);
  at::Tensor tensor = at::empty(shape, dtype == at::kBool ? at::kByte : dtype);
  std::memcpy(tensor.mutable_data_ptr(), given.data, tensor.nbytes());
  // Any byte but 0 is true.
  return dtype == at::kBool ? tensor.ne(0) : tensor;
}

at::Tensor borrow_integers(const Napi::Value& value, const std::vector<int64_t>& shape, const std::string& subject) {
  constexpr const char* names = "a BigInt64Array, Int32Array, Uint32Array, Uint16Array or Uint8Array";
  const Elements given = read_elements(value, names, shape, subject);
  const auto dtype = [&] {
    switch (given.type) {
      case napi_bigint64_array: return at::kLong;
      case napi_int32_array: return at::kInt;
      case napi_uint32_array: return at::kUInt32;
      case napi_uint16_array: return at::kUInt16;
      case napi_uint8_array: return at::kByte;
      default: throw type_error(value, names, subject);
    }
  }();
  return at::from_blob(given.data, shape, at::TensorOptions(dtype));
}

std::vector<FileTensor> read_file_tensors(const Napi::Value& value, size_t count, bool optional, const std::string& subject) {
  const auto length = static_cast<uint32_t>(count);
  const Napi::Array array = read_array(value, subject, length, length);
  std::vector<FileTensor> tensors(count);
  for (uint32_t i = 0; i < length; i++) {
    const Napi::Value entry = array.Get(i);
    if (!optional || !entry.IsNull()) tensors[i] = read_file_tensor(entry, subject + "[" + std::to_string(i) + "]");
  }
  return tensors;
}

Cancellation read_cancel(const Napi::Value& options) {
  if (options.IsUndefined()) return {};
  const Napi::Value cancel = read_object(options, "options").Get("cancel");
  return cancel.IsUndefined() ? Cancellation() : *CancelTokenHandle::core(cancel, "options.cancel");
}

PassOptions read_pass_options(const Napi::Value& value) {
  const Napi::Object given = read_object(value, "options");
  PassOptions options;
  options.micro_batch = read_integer(given.Get("microBatch"), "options.microBatch", 0, std::numeric_limits<int32_t>::max());
  const Napi::Value recompute = given.Get("recompute");
  if (!recompute.IsUndefined()) options.recompute = read_boolean(recompute, "options.recompute");
  const Napi::Value float32 = given.Get("float32");
  if (!float32.IsUndefined()) options.float32 = read_boolean(float32, "options.float32");
  options.cancel = read_cancel(given);
  return options;
}

}  // namespace critical_sharpness::binding
