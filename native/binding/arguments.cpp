#include "arguments.hpp"

#include <cmath>

#include "js_error.hpp"

namespace critical_sharpness::binding {
namespace {

constexpr int64_t most_elements = int64_t{1} << 40;

std::string element(const std::string& subject, uint32_t index) { return subject + "[" + std::to_string(index) + "]"; }

}  // namespace

double read_number(const Napi::Value& value, const std::string& subject, Range range) {
  if (!value.IsNumber()) throw type_error(value, "a number", subject);
  const double number = value.As<Napi::Number>().DoubleValue();
  if (!std::isfinite(number)) throw range_error(value, "a finite number", subject);
  switch (range) {
    case Range::any: break;
    case Range::nonnegative:
      if (number < 0) throw range_error(value, "a finite number ≥ 0", subject);
      break;
    case Range::positive:
      if (number <= 0) throw range_error(value, "a finite number > 0", subject);
      break;
    case Range::fraction:
      if (number < 0 || number >= 1) throw range_error(value, "a number ≥ 0 and < 1", subject);
      break;
  }
  return number;
}

int64_t read_integer(const Napi::Value& value, const std::string& subject, int64_t low, int64_t high) {
  const auto what = [&] { return "an integer from " + std::to_string(low) + " to " + std::to_string(high); };
  if (!value.IsNumber()) throw type_error(value, what(), subject);
  const double number = value.As<Napi::Number>().DoubleValue();
  // Written so that NaN fails; all bounds are exact as double.
  if (!(number >= static_cast<double>(low) && number <= static_cast<double>(high)) || number != std::floor(number))
    throw range_error(value, what(), subject);
  return static_cast<int64_t>(number);
}

bool read_boolean(const Napi::Value& value, const std::string& subject) {
  if (!value.IsBoolean()) throw type_error(value, "a boolean", subject);
  return value.As<Napi::Boolean>();
}

std::string read_string(const Napi::Value& value, const std::string& subject) {
  if (!value.IsString()) throw type_error(value, "a string", subject);
  return value.As<Napi::String>().Utf8Value();
}

Napi::Object read_object(const Napi::Value& value, const std::string& subject) {
  if (!value.IsObject() || value.IsFunction()) throw type_error(value, "an object", subject);
  return value.As<Napi::Object>();
}

Napi::Array read_array(const Napi::Value& value, const std::string& subject, uint32_t least, uint32_t most) {
  const auto what = [&] {
    return "an array of " + std::to_string(least) + (least == most ? "" : " to " + std::to_string(most)) + " elements";
  };
  if (!value.IsArray()) throw type_error(value, what(), subject);
  const auto array = value.As<Napi::Array>();
  if (const uint32_t length = array.Length(); length < least || length > most) throw range_error(value, what(), subject);
  return array;
}

std::vector<double> read_numbers(const Napi::Value& value, const std::string& subject, size_t count, Range range) {
  const auto length = static_cast<uint32_t>(count);
  const Napi::Array array = read_array(value, subject, length, length);
  std::vector<double> numbers;
  for (uint32_t i = 0; i < length; i++) numbers.push_back(read_number(array.Get(i), element(subject, i), range));
  return numbers;
}

std::vector<bool> read_booleans(const Napi::Value& value, const std::string& subject, size_t count) {
  const auto length = static_cast<uint32_t>(count);
  const Napi::Array array = read_array(value, subject, length, length);
  std::vector<bool> booleans;
  for (uint32_t i = 0; i < length; i++) booleans.push_back(read_boolean(array.Get(i), element(subject, i)));
  return booleans;
}

std::vector<int64_t> read_shape(const Napi::Value& value, const std::string& subject, uint32_t least_rank, uint32_t most_rank) {
  const Napi::Array array = read_array(value, subject, least_rank, most_rank);
  std::vector<int64_t> sizes;
  int64_t product = 1;
  for (uint32_t i = 0, rank = array.Length(); i < rank && i < most_rank; i++) {
    sizes.push_back(read_integer(array.Get(i), element(subject, i), 1, most_elements));
    if (product > most_elements / sizes.back()) throw range_error(value, "a shape of at most 2^40 elements", subject);
    product *= sizes.back();
  }
  return sizes;
}

}  // namespace critical_sharpness::binding
