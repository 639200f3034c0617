#pragma once
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "arguments.hpp"
#include "job.hpp"

namespace critical_sharpness::binding {

/// The bytes as an ArrayBuffer, without copying them: V8 ends the process when it cannot allocate one itself. The collector finds
/// many of them at once; giving their pages back is left to the compute thread, for it holds the event loop up.
inline Napi::Value to_array_buffer(Napi::Env env, std::vector<uint8_t> bytes) {
  if (bytes.empty()) return Napi::ArrayBuffer::New(env, 0);
  auto owner = std::make_unique<std::vector<uint8_t>>(std::move(bytes));
  const auto release = [](Napi::BasicEnv, void*, std::vector<uint8_t>* held) {
    const auto size = static_cast<int64_t>(held->size());
    let_go(std::shared_ptr<const std::vector<uint8_t>>(held), size);
  };
  const Napi::Value buffer = Napi::ArrayBuffer::New(env, owner->data(), owner->size(), release, owner.get());
  owner.release();
  return buffer;
}

/// `read(index, byteOffset, length)` of a model or a vector of `count` parameters: a part of one parameter's bytes.
/// `bytes_of(index, offset, length)` is called on the compute thread and owns what it reads.
template <class BytesOf>
Napi::Value read_parameter(const Napi::CallbackInfo& info, size_t count, BytesOf bytes_of) {
  const auto index = static_cast<size_t>(read_integer(info[0], "index", 0, static_cast<int64_t>(count) - 1));
  const int64_t offset = read_integer(info[1], "byteOffset", 0, int64_t{1} << 53);
  const int64_t length = read_integer(info[2], "length", 0, int64_t{1} << 31);
  return submit(info.Env(), [=] { return bytes_of(index, offset, length); }, to_array_buffer);
}

}  // namespace critical_sharpness::binding
