#include "model_description.hpp"

#include "arguments.hpp"
#include "errors.hpp"
#include "js_error.hpp"

namespace critical_sharpness::binding {
namespace {

constexpr int64_t largest_size = (int64_t{1} << 31) - 1;
constexpr int64_t most_layers = 10'000;
constexpr int64_t most_weights = int64_t{1} << 40;

Activation read_activation(const Napi::Object& d) {
  return read_choice<Activation>(d.Get("activation"), "description.activation",
                                 {{"gelu", Activation::gelu},
                                  {"gelu_tanh", Activation::gelu_tanh},
                                  {"relu", Activation::relu},
                                  {"tanh", Activation::tanh}});
}

MlpDescription read_mlp(const Napi::Object& d) {
  MlpDescription mlp;
  const Napi::Array sizes = read_array(d.Get("layerSizes"), "description.layerSizes", 2, most_layers);
  for (uint32_t i = 0, n = sizes.Length(); i < n; i++)
    mlp.layer_sizes.push_back(
        read_integer(sizes.Get(i), "description.layerSizes[" + std::to_string(i) + "]", 1, largest_size));
  mlp.activation = read_activation(d);
  mlp.loss = read_choice<Loss>(d.Get("loss"), "description.loss", {{"mse", Loss::mse}, {"cross_entropy", Loss::cross_entropy}});
  return mlp;
}

Gpt2Description read_gpt2(const Napi::Object& d) {
  const auto size = [&](const char* key, int64_t most) {
    return read_integer(d.Get(key), std::string("description.") + key, 1, most);
  };
  Gpt2Description gpt2;
  gpt2.vocabulary_size = size("vocabularySize", largest_size);
  gpt2.context_length = size("contextLength", largest_size);
  gpt2.width = size("width", largest_size);
  gpt2.layers = size("layers", most_layers);
  gpt2.heads = size("heads", largest_size);
  gpt2.inner_width = size("innerWidth", largest_size);
  gpt2.activation = read_activation(d);
  gpt2.norm_epsilon = read_number(d.Get("normEpsilon"), "description.normEpsilon", Range::nonnegative);
  gpt2.tied = read_boolean(d.Get("tied"), "description.tied");
  if (gpt2.width % gpt2.heads != 0)
    reject_range("Expected a divisor of the width " + std::to_string(gpt2.width) + " for description.heads but received " +
                 std::to_string(gpt2.heads));
  return gpt2;
}

void check_size(const Architecture& architecture) {
  int64_t total = 0;
  for (const auto& [name, shape] : architecture.parameters()) {
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

std::unique_ptr<const Architecture> read_architecture(const Napi::Value& value) {
  enum class Kind { mlp, gpt2 };
  const Napi::Object d = read_object(value, "description");
  const Kind kind = read_choice<Kind>(d.Get("kind"), "description.kind", {{"mlp", Kind::mlp}, {"gpt2", Kind::gpt2}});
  auto architecture = kind == Kind::mlp ? make_mlp(read_mlp(d)) : make_gpt2(read_gpt2(d));
  check_size(*architecture);
  return architecture;
}

}  // namespace critical_sharpness::binding
