#pragma once
// libtorch has gloo's code but not its headers, which c10d's ProcessGroupGloo.hpp includes. It hands these types around by pointer
// alone, so that declarations are enough; nothing here makes an object of one, or derives from one.
#include <chrono>
#include <memory>

namespace gloo {
class Context {
 public:
  void setTimeout(std::chrono::milliseconds timeout);
};
}  // namespace gloo
