#include "decoder_parameters.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "errors.hpp"

namespace critical_sharpness {

DecoderParameters::DecoderParameters(const DecoderDescription& description) : d_(description) {
  const DecoderNames& names = d_.names;
  for (const auto& adapter : d_.adapters)
    if (!adapters_.emplace(adapter.module, &adapter).second)
      reject_range("Expected one adapter for \"" + adapter.module + "\" but received two");
  embedding = add(names.embedding + ".weight", {d_.vocabulary_size, d_.width}, Role::matrix);
  if (!names.positions.empty()) positions = add(names.positions + ".weight", {d_.positions, d_.width}, Role::matrix);
  for (size_t n = 0; n < d_.layers.size(); n++) {
    blocks_.emplace_back();
    layers.push_back(add_layer(n));
  }
  blocks_.emplace_back();
  final_norm = add_norm(names.final_norm, d_.width);
  head.weight = names.head.empty() ? embedding : add(names.head + ".weight", {d_.vocabulary_size, d_.width}, Role::matrix);
  if (names.head.empty()) blocks_.back().push_back(embedding);
  if (d_.head_bias) head.bias = add(names.head + ".bias", {d_.vocabulary_size}, Role::offset);
  if (!adapters_.empty())
    reject_range("Expected adapters of attention's and MLPs' projections but received one of \"" + adapters_.begin()->first + "\"");
}

DecoderLayer DecoderParameters::add_layer(size_t number) {
  const DecoderNames& names = d_.names;
  const std::string prefix = names.layers + std::to_string(number) + ".";
  const int64_t q = d_.heads * d_.head_width, kv = d_.key_value_heads * d_.head_width;
  const bool by_head = d_.query_key_norm == DecoderDescription::QueryKeyNorm::head;
  DecoderLayer layer;
  layer.attention_norm = maybe_norm(prefix, names.attention_norm, d_.width);
  layer.query_key_value = maybe_projection(prefix, names.query_key_value, q + 2 * kv, d_.query_key_value_bias);
  layer.query = maybe_projection(prefix, names.query, q, d_.query_key_value_bias);
  layer.key = maybe_projection(prefix, names.key, kv, d_.query_key_value_bias);
  layer.value = maybe_projection(prefix, names.value, kv, d_.query_key_value_bias);
  layer.query_norm = maybe_norm(prefix, names.query_norm, by_head ? d_.head_width : q);
  layer.key_norm = maybe_norm(prefix, names.key_norm, by_head ? d_.head_width : kv);
  layer.attention_output =
      add_projection(prefix + names.attention_output, q, d_.width, d_.attention_output_bias, Role::residual_matrix);
  layer.attention_post_norm = maybe_norm(prefix, names.attention_post_norm, d_.width);
  layer.mlp_norm = maybe_norm(prefix, names.mlp_norm, d_.width);
  if (d_.mixture && std::ranges::find(d_.mixture->layers, number) != d_.mixture->layers.end()) add_mixture(prefix, layer);
  else layer.experts.push_back(add_mlp(prefix, {names.gate, names.up, names.down}, d_.inner_width));
  layer.mlp_post_norm = maybe_norm(prefix, names.mlp_post_norm, d_.width);
  return layer;
}

DecoderMlp DecoderParameters::add_mlp(const std::string& prefix, const MlpNames& names, int64_t width) {
  DecoderMlp mlp;
  mlp.gate = maybe_projection(prefix, names.gate, width, d_.mlp_bias);
  mlp.up = add_projection(prefix + names.up, d_.width, width, d_.mlp_bias);
  mlp.down = add_projection(prefix + names.down, width, d_.width, d_.mlp_bias, Role::residual_matrix);
  return mlp;
}

/// An expert's matrices are parameters of their own, as they are tensors of their own in checkpoints: a matrix is what Muon and a mask by
/// names are about, and only those of experts that are chosen are ever read.
void DecoderParameters::add_mixture(const std::string& prefix, DecoderLayer& layer) {
  const DecoderNames& names = d_.names;
  layer.router = add_projection(prefix + names.router, d_.width, d_.mixture->experts, false);
  for (int64_t e = 0; e < d_.mixture->experts; e++)
    layer.experts.push_back(add_mlp(prefix + names.experts + std::to_string(e) + ".",
                                    {names.expert_gate, names.expert_up, names.expert_down}, d_.mixture->inner_width));
}

size_t DecoderParameters::add(std::string name, std::vector<int64_t> shape, Role role) {
  specs_.push_back({std::move(name), std::move(shape)});
  roles_.push_back(role);
  blocks_.back().push_back(specs_.size() - 1);
  return specs_.size() - 1;
}

Projection DecoderParameters::add_projection(const std::string& name, int64_t inputs, int64_t outputs, bool bias, Role role) {
  const bool transposed = d_.storage == WeightStorage::in_out;
  Projection made;
  made.weight = add(name + ".weight", transposed ? std::vector{inputs, outputs} : std::vector{outputs, inputs}, role);
  if (bias) made.bias = add(name + ".bias", {outputs}, Role::offset);
  made.adapter = maybe_adapter(name, inputs, outputs);
  return made;
}

std::optional<LowRankProjection> DecoderParameters::maybe_adapter(const std::string& module, int64_t inputs, int64_t outputs) {
  const auto taken = adapters_.extract(module);
  if (!taken) return std::nullopt;
  const auto& [_, rank, scale] = *taken.mapped();
  return LowRankProjection{add(module + ".lora_A.weight", {rank, inputs}, Role::adapter_down),
                           add(module + ".lora_B.weight", {outputs, rank}, Role::offset), scale};
}

std::optional<Projection> DecoderParameters::maybe_projection(const std::string& prefix, const std::string& name,
                                                              int64_t outputs, bool bias) {
  if (name.empty()) return std::nullopt;
  return add_projection(prefix + name, d_.width, outputs, bias);
}

Norm DecoderParameters::add_norm(const std::string& name, int64_t width) {
  Norm norm{d_.norm.kind, d_.norm.epsilon, {}, {}, d_.norm.weight_from_one};
  if (d_.norm.weight) norm.weight = add(name + ".weight", {width}, Role::scale);
  if (d_.norm.bias) norm.bias = add(name + ".bias", {width}, Role::offset);
  return norm;
}

std::optional<Norm> DecoderParameters::maybe_norm(const std::string& prefix, const std::string& name, int64_t width) {
  if (name.empty()) return std::nullopt;
  return add_norm(prefix + name, width);
}

InitialValue DecoderParameters::initial_value(size_t parameter, const std::string& scheme) const {
  using Kind = InitialValue::Kind;
  const bool gpt2 = scheme == "gpt2";
  if (!gpt2 && scheme != "normal")
    reject_range("Expected initialization \"gpt2\", \"normal\" or \"zeros\" for a language model but received \"" +
                 scheme + "\"");
  const double deviation = gpt2 ? 0.02 : d_.initial_deviation;
  const double depth = gpt2 ? std::sqrt(2.0 * static_cast<double>(layers.size())) : 1;
  switch (roles_[parameter]) {
    case Role::matrix: return {Kind::normal, deviation};
    case Role::residual_matrix: return {Kind::normal, deviation / depth};
    case Role::scale: return {Kind::constant, d_.norm.weight_from_one ? 0.0 : 1.0};
    case Role::offset: return {};
    case Role::adapter_down: return {Kind::uniform, 1 / std::sqrt(static_cast<double>(specs_[parameter].shape[1]))};
  }
  return {};
}

}  // namespace critical_sharpness
