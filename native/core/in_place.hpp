#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "kernels/chunks.hpp"
#include "parameter_vector.hpp"

namespace critical_sharpness {

/// What it takes to undo θ ← θ − ηΔ exactly, kept between passes.
///
/// Adding ηΔ back to the rounded q = θ − ηΔ misses θ by a few units in the last place. That distance, as a difference
/// of bit patterns, is one byte a value; a value too far away to be told by a byte (|ηΔ| ≫ |θ|) has the byte −128
/// and its own bits in its chunk's `far` list.
struct InPlaceStorage {
  std::vector<int8_t> distance;
  std::vector<std::vector<uint64_t>> far;
};

/// While it lives, `weights` hold θ − ηΔ; its destructor puts every byte back.
class InPlacePerturbation {
 public:
  InPlacePerturbation(std::vector<at::Tensor>& weights, const ParameterVector& direction, double learning_rate,
                      InPlaceStorage& storage);
  ~InPlacePerturbation();
  InPlacePerturbation(const InPlacePerturbation&) = delete;
  InPlacePerturbation& operator=(const InPlacePerturbation&) = delete;

 private:
  void restore() noexcept;

  std::vector<at::Tensor>& weights_;
  const ParameterVector& direction_;
  double learning_rate_;
  InPlaceStorage& storage_;
  std::vector<kernels::Chunk> chunks_;
  std::vector<char> applied_;  // per chunk
};

}  // namespace critical_sharpness
