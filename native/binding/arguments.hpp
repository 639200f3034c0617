#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "errors.hpp"
#include "node_api.hpp"

namespace critical_sharpness::binding {

// Readers of arguments. Each throws a JavaScript error "Expected … for <subject> but received …" for what it cannot read.
// None trusts a length, a type or an object's shape: a getter or a proxy may run any code between two reads, and answer
// differently each time. Every property is read once.

enum class Range { any, nonnegative, positive, fraction };  // fraction: [0, 1)

/// A finite number.
double read_number(const Napi::Value& value, const std::string& subject, Range range = Range::any);
int64_t read_integer(const Napi::Value& value, const std::string& subject, int64_t low, int64_t high);
bool read_boolean(const Napi::Value& value, const std::string& subject);
std::string read_string(const Napi::Value& value, const std::string& subject);
Napi::Object read_object(const Napi::Value& value, const std::string& subject);
/// An array of `least` to `most` elements.
Napi::Array read_array(const Napi::Value& value, const std::string& subject, uint32_t least, uint32_t most);

std::vector<double> read_numbers(const Napi::Value& value, const std::string& subject, size_t count, Range range);
std::vector<bool> read_booleans(const Napi::Value& value, const std::string& subject, size_t count);
/// `least_rank` to `most_rank` sizes ≥ 1 whose product is at most 2⁴⁰.
std::vector<int64_t> read_shape(const Napi::Value& value, const std::string& subject, uint32_t least_rank, uint32_t most_rank);

/// Of a network's layers and how many there may be.
inline constexpr int64_t largest_size = (int64_t{1} << 31) - 1;
inline constexpr int64_t most_layers = 10'000;

/// One of the named choices.
template <class T>
T read_choice(const Napi::Value& value, const std::string& subject, const std::vector<std::pair<const char*, T>>& choices) {
  const std::string given = read_string(value, subject);
  std::string names;
  for (const auto& [name, choice] : choices) {
    if (given == name) return choice;
    names += (names.empty() ? "\"" : " or \"") + std::string(name) + '"';
  }
  reject_range("Expected " + names + " for " + subject + " but received \"" + given.substr(0, 80) + "\"");
}

}  // namespace critical_sharpness::binding
