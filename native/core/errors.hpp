#pragma once
#include <stdexcept>
#include <string>

namespace critical_sharpness {

/// Bad input. `kind` chooses the JavaScript class that it becomes; `code` is the error's stable name.
struct InputError : std::runtime_error {
  enum class Kind { type, range, state };
  InputError(Kind kind, std::string code, const std::string& message)
      : std::runtime_error(message), kind(kind), code(std::move(code)) {}
  Kind kind;
  std::string code;
};

/// Thrown where a cancelled job notices it.
struct Cancelled : std::runtime_error {
  Cancelled() : std::runtime_error("The operation was cancelled") {}
};

[[noreturn]] inline void reject_type(const std::string& message) {
  throw InputError(InputError::Kind::type, "ERR_INVALID_ARG_TYPE", message);
}
[[noreturn]] inline void reject_range(const std::string& message) {
  throw InputError(InputError::Kind::range, "ERR_OUT_OF_RANGE", message);
}
[[noreturn]] inline void reject_mismatch(const std::string& message) {
  throw InputError(InputError::Kind::range, "ERR_MODEL_MISMATCH", message);
}

}  // namespace critical_sharpness
