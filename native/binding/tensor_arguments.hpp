#pragma once
#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "model.hpp"
#include "node_api.hpp"

namespace critical_sharpness::binding {

enum class Numbers { integers, floats, either };

/// A copy, of the given shape, of a typed array with exactly as many elements: a BigInt64Array (integers), a Float32Array or
/// a Float64Array (floats). The array stays its owner's, to change at will.
at::Tensor read_tensor(const Napi::Value& value, Numbers numbers, const std::vector<int64_t>& shape, const std::string& subject);

/// A copy of a Uint8Array's bytes as a tensor of the given dtype and shape, little-endian.
at::Tensor read_bytes_as(const Napi::Value& value, at::ScalarType dtype, const std::vector<int64_t>& shape, const std::string& subject);

/// A typed array of integers of 64 bits, 32, or fewer without a sign, as a tensor of the given shape in its own memory: good until any
/// JavaScript runs.
at::Tensor borrow_integers(const Napi::Value& value, const std::vector<int64_t>& shape, const std::string& subject);

/// { path, byteOffset, dtype } for each of `count` parameters. Where `optional`, null gives an entry without a path.
std::vector<FileTensor> read_file_tensors(const Napi::Value& value, size_t count, bool optional, const std::string& subject);

/// The cancel token of options { cancel? }, which may be missing altogether.
Cancellation read_cancel(const Napi::Value& options);

/// { microBatch, recompute?, cancel? }
PassOptions read_pass_options(const Napi::Value& value);

}  // namespace critical_sharpness::binding
