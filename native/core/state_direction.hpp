#pragma once
#include "direction.hpp"
#include "optimizer.hpp"

namespace critical_sharpness {

/// An optimizer's Δ that is not stored: made of its state and the weights wherever it is read, with the bits that
/// `Optimizer::direction` would have. It holds for the state and the weights of the moment when it was asked for.
std::shared_ptr<const Direction> state_direction(std::shared_ptr<const Optimizer> optimizer, bool weight_decay);

}  // namespace critical_sharpness
