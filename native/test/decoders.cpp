#include "decoders.hpp"

namespace critical_sharpness::test {

DecoderDescription llama() {
  DecoderDescription d;
  d.vocabulary_size = 11;
  d.width = 8;
  d.heads = 4;
  d.key_value_heads = 2;
  d.head_width = 4;
  d.inner_width = 6;
  d.attention_kinds = {{0, {1, 0.3}, 1}};
  d.layers = {0, 0};
  d.norm.kind = Norm::Kind::rms;
  d.norm.bias = false;
  d.attention_scale = 0.5;
  auto& n = d.names;
  n.embedding = "embed";
  n.layers = "layers.";
  n.final_norm = "norm";
  n.head = "head";
  n.attention_norm = "attention_norm";
  n.mlp_norm = "mlp_norm";
  n.query = "q";
  n.key = "k";
  n.value = "v";
  n.attention_output = "o";
  n.gate = "gate";
  n.up = "up";
  n.down = "down";
  return d;
}

DecoderDescription gemma() {
  DecoderDescription d = llama();
  d.attention_kinds = {{2, {1, 0.3}, 1}, {0, {1}, 1.5}};
  d.layers = {0, 1};
  d.norm.weight_from_one = true;
  d.attention_cap = 0.8;
  d.logit_cap = 1.2;
  d.embedding_scale = 1.7;
  d.names.head = "";
  d.names.attention_post_norm = "attention_post_norm";
  d.names.mlp_post_norm = "mlp_post_norm";
  d.activation = Activation::gelu_tanh;
  return d;
}

DecoderDescription neox() {
  DecoderDescription d = llama();
  d.attention_kinds = {{3, {0.5}, 1}};
  d.key_value_heads = d.heads;
  d.norm.kind = Norm::Kind::layer;
  d.norm.bias = d.parallel = d.query_key_value_by_head = true;
  d.query_key_value_bias = d.attention_output_bias = d.mlp_bias = d.head_bias = true;
  d.names.query = d.names.key = d.names.value = d.names.gate = "";
  d.names.query_key_value = "qkv";
  return d;
}

/// Norms without parameters; bounded queries, keys and values.
DecoderDescription olmo() {
  DecoderDescription d = llama();
  d.norm.kind = Norm::Kind::layer;
  d.norm.weight = false;
  d.query_key_value_bound = 0.5;
  return d;
}

DecoderDescription post_norms(DecoderDescription::QueryKeyNorm over) {
  DecoderDescription d = llama();
  d.query_key_norm = over;
  d.names.attention_norm = d.names.mlp_norm = "";
  d.names.attention_post_norm = "attention_post_norm";
  d.names.mlp_post_norm = "mlp_post_norm";
  d.names.query_norm = "q_norm";
  d.names.key_norm = "k_norm";
  return d;
}

/// One norm for attention and MLP.
DecoderDescription phi() {
  DecoderDescription d = neox();
  d.names.mlp_norm = "";
  return d;
}

DecoderDescription granite(DecoderDescription d) {
  d.layers = {d.attention_kinds.size(), 0};
  d.attention_kinds.push_back({d.attention_kinds[0].window, {}, 1});
  d.attention_scale = 0.3;
  d.embedding_scale = 1.4;
  d.residual_scale = 0.22;
  d.logit_scale = 0.7;
  return d;
}

DecoderDescription mixture(DecoderDescription d, bool normalized, double balance) {
  d.mixture = {{1}, 5, 2, 3, normalized, balance};
  if (!normalized) d.mixture->layers.push_back(0);
  d.names.router = "router";
  d.names.experts = "experts.";
  if (!d.names.gate.empty()) d.names.expert_gate = "gate";
  d.names.expert_up = "up";
  d.names.expert_down = "down";
  return d;
}

DecoderDescription adapted(DecoderDescription d) {
  const auto& names = d.names;
  const std::string in = names.query.empty() ? names.query_key_value : names.query;
  d.adapters = {{names.layers + "0." + in, 2, 0.5}, {names.layers + "1." + names.attention_output, 1, 2}, {names.layers + "1." + names.up, 3, 1}};
  return d;
}

std::vector<DecoderDescription> decoder_descriptions() {
  using Over = DecoderDescription::QueryKeyNorm;
  return {llama(), gemma(), neox(), olmo(), post_norms(Over::head), post_norms(Over::projection), phi(),
          granite(gemma()), granite(neox()), mixture(llama(), true), mixture(granite(neox()), false), mixture(gemma(), false, 0.7),
          mixture(llama(), true, 0.3), adapted(llama()), adapted(granite(neox()))};
}

DecoderDescription enlarged(DecoderDescription d) {
  d.vocabulary_size = 301;
  d.width = 96;
  d.head_width = 24;
  d.inner_width = 200;
  if (d.mixture) d.mixture->inner_width = 180;
  return d;
}

}  // namespace critical_sharpness::test
