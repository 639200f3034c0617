#pragma once
#include <memory>

#include "activation.hpp"
#include "network.hpp"
#include "objective/terms.hpp"

namespace critical_sharpness {

struct MlpDescription {
  std::vector<int64_t> layer_sizes;
  Activation activation = Activation::gelu;
  Loss loss = Loss::mse;
};
std::unique_ptr<Network> make_mlp(MlpDescription description);

}  // namespace critical_sharpness
