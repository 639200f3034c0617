// Runs the tests whose names contain one of the arguments, or all of them. Exit code 0: at least one ran and none failed.
#include <atomic>
#include <cstdio>
#include <string_view>
#include <vector>

#include "check.hpp"

namespace critical_sharpness::test {
namespace {

struct Test {
  const char* name;
  void (*body)();
};

std::vector<Test>& tests() {
  static std::vector<Test> all;  // in a function: tests register themselves before main, in any order of files
  return all;
}

std::atomic<bool> failed = false;  // checks may fail on several threads at once

bool chosen(std::string_view name, const std::vector<std::string_view>& patterns) {
  for (const auto pattern : patterns)
    if (name.find(pattern) != std::string_view::npos) return true;
  return patterns.empty();
}

/// Whether the test passed.
bool run(const Test& test) {
  failed = false;
  try {
    test.body();
  } catch (const std::exception& error) {
    fail(test.name, 0, std::string("an exception: ") + error.what());
  } catch (...) {
    fail(test.name, 0, "an exception of unknown type");
  }
  if (failed) std::printf("FAILED %s\n", test.name);
  return !failed;
}

}  // namespace

bool add(const char* name, void (*body)()) {
  tests().push_back({name, body});
  return true;
}

void fail(const char* file, int line, const std::string& what) {
  failed = true;
  std::printf("%s:%d: %s\n", file, line, what.c_str());
}

}  // namespace critical_sharpness::test

int main(int count, char** values) {
  using namespace critical_sharpness::test;
  const std::vector<std::string_view> patterns(values + 1, values + count);
  std::setvbuf(stdout, nullptr, _IOLBF, 0);  // a crash loses no line
  int passed = 0, not_passed = 0;
  for (const auto& test : tests())
    if (chosen(test.name, patterns)) (run(test) ? passed : not_passed)++;
  std::printf("%d C++ tests passed, %d failed\n", passed, not_passed);
  return not_passed == 0 && passed > 0 ? 0 : 1;
}
