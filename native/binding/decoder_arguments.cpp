#include "decoder_arguments.hpp"

#include "arguments.hpp"
#include "errors.hpp"

namespace critical_sharpness::binding {
namespace {

constexpr uint32_t most_kinds = 64;

std::string at(const std::string& subject, uint32_t index) { return subject + "[" + std::to_string(index) + "]"; }

/// A description's entries, each read once.
class Reader {
 public:
  Reader(Napi::Object object, std::string subject) : object_(std::move(object)), subject_(std::move(subject)) {}

  std::string name(const char* key) const { return subject_ + "." + key; }
  Napi::Value get(const char* key) const { return object_.Get(key); }
  int64_t size(const char* key, int64_t least = 1) const { return read_integer(get(key), name(key), least, largest_size); }
  double number(const char* key, Range range = Range::nonnegative) const { return read_number(get(key), name(key), range); }
  bool flag(const char* key) const { return read_boolean(get(key), name(key)); }
  template <class T>
  T choice(const char* key, const std::vector<std::pair<const char*, T>>& choices) const {
    return read_choice<T>(get(key), name(key), choices);
  }
  /// Empty where the key is missing.
  std::string maybe_string(const char* key) const {
    const Napi::Value value = get(key);
    return value.IsUndefined() ? std::string() : read_string(value, name(key));
  }

 private:
  Napi::Object object_;
  std::string subject_;
};

DecoderNames read_names(const Reader& r) {
  DecoderNames names;
  const std::pair<const char*, std::string*> all[] = {{"embedding", &names.embedding},
                                                      {"positions", &names.positions},
                                                      {"layers", &names.layers},
                                                      {"finalNorm", &names.final_norm},
                                                      {"head", &names.head},
                                                      {"attentionNorm", &names.attention_norm},
                                                      {"mlpNorm", &names.mlp_norm},
                                                      {"attentionPostNorm", &names.attention_post_norm},
                                                      {"mlpPostNorm", &names.mlp_post_norm},
                                                      {"query", &names.query},
                                                      {"key", &names.key},
                                                      {"value", &names.value},
                                                      {"queryKeyValue", &names.query_key_value},
                                                      {"queryNorm", &names.query_norm},
                                                      {"keyNorm", &names.key_norm},
                                                      {"attentionOutput", &names.attention_output},
                                                      {"gate", &names.gate},
                                                      {"up", &names.up},
                                                      {"down", &names.down}};
  for (const auto& [key, name] : all) *name = r.maybe_string(key);
  const std::pair<const char*, const std::string*> needed[] = {
      {"embedding", &names.embedding},  {"layers", &names.layers}, {"finalNorm", &names.final_norm},
      {"attentionOutput", &names.attention_output}, {"up", &names.up}, {"down", &names.down}};
  for (const auto& [key, name] : needed)
    if (name->empty()) reject_range("Expected a name for " + r.name(key) + " but received none");
  const bool all_three = !names.query.empty() && !names.key.empty() && !names.value.empty();
  const bool none = names.query.empty() && names.key.empty() && names.value.empty();
  if (names.query_key_value.empty() ? !all_three : !none)
    reject_range("Expected names of one or of three projections for " + r.name("queryKeyValue") + " but received others");
  if (names.query_norm.empty() != names.key_norm.empty() || (!names.query_norm.empty() && !all_three))
    reject_range("Expected norms of both of two projections for " + r.name("queryNorm") + " but received others");
  return names;
}

DecoderDescription::AttentionKind read_kind(const Napi::Value& value, const std::string& subject, int64_t head_width) {
  const Reader r(read_object(value, subject), subject);
  DecoderDescription::AttentionKind kind;
  kind.window = r.size("window", 0);
  const Napi::Array frequencies =
      read_array(r.get("frequencies"), r.name("frequencies"), 0, static_cast<uint32_t>(head_width / 2));
  for (uint32_t i = 0, n = frequencies.Length(); i < n && i < head_width / 2; i++)
    kind.frequencies.push_back(read_number(frequencies.Get(i), at(r.name("frequencies"), i)));
  kind.rotary_scale = r.number("rotaryScale");
  return kind;
}

void read_layers(const Reader& r, DecoderDescription& d) {
  const Napi::Array kinds = read_array(r.get("attentionKinds"), r.name("attentionKinds"), 1, most_kinds);
  for (uint32_t i = 0, n = kinds.Length(); i < n && i < most_kinds; i++)
    d.attention_kinds.push_back(read_kind(kinds.Get(i), at(r.name("attentionKinds"), i), d.head_width));
  if (d.attention_kinds.empty()) reject_range("Expected a kind for " + r.name("attentionKinds") + " but received none");
  const Napi::Array layers = read_array(r.get("layers"), r.name("layers"), 1, most_layers);
  const auto last = static_cast<int64_t>(d.attention_kinds.size()) - 1;
  for (uint32_t i = 0, n = layers.Length(); i < n && i < most_layers; i++)
    d.layers.push_back(static_cast<size_t>(read_integer(layers.Get(i), at(r.name("layers"), i), 0, last)));
}

void check_heads(const DecoderDescription& d) {
  if (d.heads % d.key_value_heads != 0)
    reject_range("Expected a divisor of the " + std::to_string(d.heads) + " heads for description.keyValueHeads but " +
                 "received " + std::to_string(d.key_value_heads));
  if (d.heads > largest_size / d.head_width)
    reject_range("Expected at most 2^31 channels for description.heads but received " + std::to_string(d.heads) + " of " +
                 std::to_string(d.head_width));
  if (!d.names.query_key_value.empty() && d.heads != d.key_value_heads)
    reject_range("Expected as many heads of keys as of queries for description.keyValueHeads but received " +
                 std::to_string(d.key_value_heads) + " of " + std::to_string(d.heads));
}

}  // namespace

Activation read_activation(const Napi::Value& value, const std::string& subject) {
  return read_choice<Activation>(value, subject,
                                 {{"gelu", Activation::gelu},
                                  {"gelu_tanh", Activation::gelu_tanh},
                                  {"relu", Activation::relu},
                                  {"silu", Activation::silu},
                                  {"tanh", Activation::tanh}});
}

DecoderDescription read_decoder(const Napi::Object& description) {
  using QueryKeyNorm = DecoderDescription::QueryKeyNorm;
  const Reader r(description, "description");
  DecoderDescription d;
  d.vocabulary_size = r.size("vocabularySize");
  d.width = r.size("width");
  d.heads = r.size("heads");
  d.key_value_heads = r.size("keyValueHeads");
  d.head_width = r.size("headWidth");
  d.inner_width = r.size("innerWidth");
  d.positions = r.size("positions", 0);
  read_layers(r, d);
  const Reader norm(read_object(r.get("norm"), r.name("norm")), r.name("norm"));
  d.norm.kind = norm.choice<Norm::Kind>("kind", {{"layer", Norm::Kind::layer}, {"rms", Norm::Kind::rms}});
  d.norm.epsilon = norm.number("epsilon");
  d.norm.weight_from_one = norm.flag("weightFromOne");
  d.norm_has_weight = norm.flag("weight");
  d.norm_has_bias = norm.flag("bias");
  d.query_key_norm =
      r.choice<QueryKeyNorm>("queryKeyNorm", {{"head", QueryKeyNorm::head}, {"projection", QueryKeyNorm::projection}});
  d.parallel = r.flag("parallel");
  d.query_key_value_by_head = r.flag("queryKeyValueByHead");
  d.query_key_value_bias = r.flag("queryKeyValueBias");
  d.attention_output_bias = r.flag("attentionOutputBias");
  d.mlp_bias = r.flag("mlpBias");
  d.head_bias = r.flag("headBias");
  d.storage = r.choice<WeightStorage>("storage", {{"out_in", WeightStorage::out_in}, {"in_out", WeightStorage::in_out}});
  d.activation = read_activation(r.get("activation"), r.name("activation"));
  d.attention_scale = r.number("attentionScale");
  d.attention_cap = r.number("attentionCap");
  d.logit_cap = r.number("logitCap");
  d.embedding_scale = r.number("embeddingScale");
  d.residual_scale = r.number("residualScale");
  d.logit_scale = r.number("logitScale");
  d.query_key_value_bound = r.number("queryKeyValueBound");
  d.initial_deviation = r.number("initialDeviation");
  d.padding_token = r.size("paddingToken", -1);
  if (d.padding_token >= d.vocabulary_size)
    reject_range("Expected a token of the " + std::to_string(d.vocabulary_size) + " for description.paddingToken but received " +
                 std::to_string(d.padding_token));
  d.names = read_names(Reader(read_object(r.get("names"), r.name("names")), r.name("names")));
  if (d.positions == 0 && !d.names.positions.empty())
    reject_range("Expected an integer ≥ 1 for description.positions but received 0");
  if (d.norm.kind == Norm::Kind::rms && d.norm_has_bias)
    reject_range("Expected norms without bias for description.norm but received RMS norms with one");
  check_heads(d);
  return d;
}

}  // namespace critical_sharpness::binding
