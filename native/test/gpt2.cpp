#include "gpt2.hpp"

#include <cmath>

namespace critical_sharpness::test {

Gpt2Description enlarged_gpt2(bool tied) {
  Gpt2Description d;
  d.vocabulary_size = 301;
  d.context_length = 200;
  d.width = 96;
  d.layers = 3;
  d.heads = 4;
  d.inner_width = 200;
  d.tied = tied;
  return d;
}

DecoderDescription decoder_of(const Gpt2Description& g) {
  DecoderDescription d;
  d.vocabulary_size = g.vocabulary_size;
  d.width = g.width;
  d.heads = d.key_value_heads = g.heads;
  d.head_width = g.width / g.heads;
  d.inner_width = g.inner_width;
  d.positions = g.context_length;
  d.attention_kinds = {{}};
  d.layers.assign(static_cast<size_t>(g.layers), 0);
  d.norm.epsilon = g.norm_epsilon;
  d.query_key_value_bias = d.attention_output_bias = d.mlp_bias = true;
  d.storage = WeightStorage::in_out;
  d.activation = g.activation;
  d.attention_scale = 1 / std::sqrt(static_cast<double>(d.head_width));
  d.names.embedding = "transformer.wte";
  d.names.positions = "transformer.wpe";
  d.names.layers = "transformer.h.";
  d.names.attention_norm = "ln_1";
  d.names.query_key_value = "attn.c_attn";
  d.names.attention_output = "attn.c_proj";
  d.names.mlp_norm = "ln_2";
  d.names.up = "mlp.c_fc";
  d.names.down = "mlp.c_proj";
  d.names.final_norm = "transformer.ln_f";
  if (!g.tied) d.names.head = "lm_head";
  return d;
}

}  // namespace critical_sharpness::test
