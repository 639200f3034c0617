#include "check.hpp"

#include <cstdint>
#include <stdexcept>

namespace {

void throws(bool really) {
  if (really) throw std::runtime_error("on purpose");
}

}  // namespace

TEST("harness: checks that hold do not fail") {
  CHECK(1 + 1 == 2);
  CHECK_CLOSE(1.0f, 1.05, 0.1);
  CHECK_CLOSE(std::int64_t{3}, 3, 0);
  CHECK_THROWS(throws(true));
}
