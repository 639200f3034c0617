#pragma once
#include <cstdint>
#include <functional>
#include <vector>

#include "layout.hpp"

namespace critical_sharpness {

/// Bytes [offset, offset + length) of a parameter's numbers of so many bytes each, clipped at its end. here(offset, length): those
/// of what this rank keeps. Over a group it is called on all ranks at the same place.
std::vector<uint8_t> gathered_bytes(const Layout& layout, size_t parameter, int64_t element, int64_t offset, int64_t length,
                                    const std::function<std::vector<uint8_t>(int64_t offset, int64_t length)>& here);

}  // namespace critical_sharpness
