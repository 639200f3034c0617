#include "model_description.hpp"

#include "arguments.hpp"
#include "decoder_arguments.hpp"
#include "errors.hpp"
#include "js_error.hpp"
#include "network/mlp.hpp"
#include "program_arguments.hpp"

namespace critical_sharpness::binding {
namespace {

constexpr int64_t most_weights = int64_t{1} << 40;

MlpDescription read_mlp(const Napi::Object& d) {
  MlpDescription mlp;
  const Napi::Array sizes = read_array(d.Get("layerSizes"), "description.layerSizes", 2, most_layers);
  for (uint32_t i = 0, n = sizes.Length(); i < n; i++)
    mlp.layer_sizes.push_back(
        read_integer(sizes.Get(i), "description.layerSizes[" + std::to_string(i) + "]", 1, largest_size));
  mlp.activation = read_activation(d.Get("activation"), "description.activation");
  mlp.loss = read_choice<Loss>(d.Get("loss"), "description.loss", {{"mse", Loss::mse}, {"cross_entropy", Loss::cross_entropy}});
  return mlp;
}

void check_size(const Network& network) {
  int64_t total = 0;
  for (const auto& [name, shape] : network.parameters()) {
    int64_t elements = 1;
    for (const int64_t size : shape) {
      if (elements > most_weights / size)
        reject_range("Expected at most 2^40 weights for the model but received more in \"" + name + "\" alone");
      elements *= size;
    }
    total += elements;
    if (total > most_weights) reject_range("Expected at most 2^40 weights for the model but received more");
  }
}

}  // namespace

std::unique_ptr<Network> read_network(const Napi::Value& value, at::Device device) {
  enum class Kind { mlp, decoder, program };
  const Napi::Object d = read_object(value, "description");
  const Kind kind = read_choice<Kind>(d.Get("kind"), "description.kind", {{"mlp", Kind::mlp}, {"decoder", Kind::decoder}, {"program", Kind::program}});
  auto network = kind == Kind::mlp       ? make_mlp(read_mlp(d))
                 : kind == Kind::decoder ? make_decoder(read_decoder(d))
                                         : make_program(read_program(d, device));
  check_size(*network);
  return network;
}

}  // namespace critical_sharpness::binding
