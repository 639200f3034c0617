#pragma once
// A test harness of one page:
//   TEST("what must hold") { CHECK(a == b); CHECK_CLOSE(x, y, 1e-6); CHECK_THROWS(f()); }
// A check that fails is reported and the test goes on; an exception ends its test.
#include <cmath>
#include <exception>
#include <sstream>
#include <string>

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

}  // namespace critical_sharpness::test

#define CHECK(...) \
  ::critical_sharpness::test::check(static_cast<bool>(__VA_ARGS__), __FILE__, __LINE__, #__VA_ARGS__)
#define CHECK_CLOSE(a, b, tolerance) \
  ::critical_sharpness::test::check_close((a), (b), (tolerance), __FILE__, __LINE__, #a " = " #b)
#define CHECK_THROWS(...) \
  ::critical_sharpness::test::check_throws([&] { (void)(__VA_ARGS__); }, __FILE__, __LINE__, #__VA_ARGS__)

#define CS_TEST_NAMED(title, function)                                                          \
  static void function();                                                                       \
  [[maybe_unused]] static const bool function##_added = ::critical_sharpness::test::add(title, function); \
  static void function()
#define CS_TEST_AT(title, line) CS_TEST_NAMED(title, test_at_line_##line)
#define CS_TEST_EXPANDED(title, line) CS_TEST_AT(title, line)
#define TEST(title) CS_TEST_EXPANDED(title, __LINE__)
