#pragma once
#include <cstdint>

namespace critical_sharpness {

/// From now on libtorch's large blocks of main memory are kept for the next of their size when they are let go: a block that comes from
/// the system is filled with zeros page by page, which takes a seventh of a loss's time. What is in use and what is kept are together
/// never more than what was in use at once since the last release, so that a pass's peak stays what it is.
void install_caching_allocator();

/// Gives what is kept back to the system. Any thread may call it.
void release_cached_memory();

/// Bytes of blocks that are kept, and in use.
struct CachedMemory {
  int64_t kept, used;
};
CachedMemory cached_memory();

}  // namespace critical_sharpness
