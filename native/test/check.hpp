#pragma once
// A test harness of one page:
//   TEST("what must hold") { CHECK(a == b); CHECK_CLOSE(x, y, 1e-6); CHECK_THROWS(f()); CHECK_CODE(f(), "ERR_…"); }
// A check that fails is reported and the test goes on; an exception ends its test.
#include <c10/util/Logging.h>

#include <cmath>
#include <exception>
#include <sstream>
#include <string>

#include "errors.hpp"

namespace critical_sharpness::test {

/// Registers a test; for TEST only. Returns a value so that a static initialiser can call it.
bool add(const char* name, void (*body)());

/// Marks the running test as failed.
void fail(const char* file, int line, const std::string& what);

inline void check(bool holds, const char* file, int line, const char* text) {
  if (!holds) fail(file, line, std::string("Expected ") + text);
}

/// |a − b| ≤ tolerance; false where either is NaN.
template <class A, class B>
void check_close(const A& a, const B& b, double tolerance, const char* file, int line, const char* text) {
  if (std::abs(static_cast<double>(a) - static_cast<double>(b)) <= tolerance) return;
  std::ostringstream what;
  what.precision(17);
  what << "Expected " << text << " within " << tolerance << " but received " << a << " and " << b;
  fail(file, line, what.str());
}

template <class Expression>
void check_throws(const Expression& expression, const char* file, int line, const char* text) {
  try {
    expression();
  } catch (const std::exception&) {
    return;
  }
  fail(file, line, std::string("Expected an exception from ") + text);
}

/// An InputError of that code, whose message has the project's shape.
template <class Expression>
void check_code(const Expression& expression, const std::string& code, const char* file, int line, const char* text) {
  std::string received = "no exception";
  try {
    expression();
  } catch (const InputError& error) {
    const std::string message = error.what();
    const bool shaped = message.starts_with("Expected ") && message.find(" but received") != std::string::npos;
    if (error.code == code && shaped) return;
    received = error.code + ": " + message;
  } catch (const std::exception& error) {
    received = std::string("an exception without a code: ") + error.what();
  }
  fail(file, line, "Expected " + code + " from " + text + " but received " + received);
}

}  // namespace critical_sharpness::test

#undef CHECK  // c10's, which ends the process
#define CHECK(...) \
  ::critical_sharpness::test::check(static_cast<bool>(__VA_ARGS__), __FILE__, __LINE__, #__VA_ARGS__)
#define CHECK_CLOSE(a, b, tolerance) \
  ::critical_sharpness::test::check_close((a), (b), (tolerance), __FILE__, __LINE__, #a " = " #b)
#define CHECK_THROWS(...) \
  ::critical_sharpness::test::check_throws([&] { (void)(__VA_ARGS__); }, __FILE__, __LINE__, #__VA_ARGS__)

#define CHECK_CODE(expression, code) \
  ::critical_sharpness::test::check_code([&] { (void)(expression); }, (code), __FILE__, __LINE__, #expression)

#define CS_TEST_NAMED(title, function)                                                          \
  static void function();                                                                       \
  [[maybe_unused]] static const bool function##_added = ::critical_sharpness::test::add(title, function); \
  static void function()
#define CS_TEST_AT(title, line) CS_TEST_NAMED(title, test_at_line_##line)
#define CS_TEST_EXPANDED(title, line) CS_TEST_AT(title, line)
#define TEST(title) CS_TEST_EXPANDED(title, __LINE__)
