#include "decoder_arguments.hpp"

#include <cctype>

#include "arguments.hpp"
#include "errors.hpp"

namespace critical_sharpness::binding {
namespace {

std::string at(const std::string& subject, uint32_t index) { return subject + "[" + std::to_string(index) + "]"; }

/// query_key_norm: queryKeyNorm
std::string in_javascript(const std::string& name) {
  std::string key;
  for (size_t i = 0; i < name.size(); i++)
    key += name[i] == '_' ? static_cast<char>(std::toupper(static_cast<unsigned char>(name[++i]))) : name[i];
  return key;
}

template <class T>
using Choices = std::vector<std::pair<const char*, T>>;
Choices<Norm::Kind> choices(Norm::Kind) { return {{"layer", Norm::Kind::layer}, {"rms", Norm::Kind::rms}}; }
Choices<DecoderDescription::QueryKeyNorm> choices(DecoderDescription::QueryKeyNorm) {
  return {{"head", DecoderDescription::QueryKeyNorm::head}, {"projection", DecoderDescription::QueryKeyNorm::projection}};
}
Choices<WeightStorage> choices(WeightStorage) { return {{"out_in", WeightStorage::out_in}, {"in_out", WeightStorage::in_out}}; }
Choices<Activation> choices(Activation) {
  return {{"gelu", Activation::gelu},
          {"gelu_tanh", Activation::gelu_tanh},
          {"relu", Activation::relu},
          {"silu", Activation::silu},
          {"tanh", Activation::tanh}};
}

/// One entry of a description, read once.
struct Entry {
  Entry(const Napi::Object& object, const std::string& of, const char* field)
      : subject(of + "." + in_javascript(field)), value(object.Get(in_javascript(field))) {}
  Entry(Napi::Value element, std::string called) : subject(std::move(called)), value(std::move(element)) {}

  template <class Read>
  void each(uint32_t least, uint32_t most, const Read& read) const {
    const Napi::Array array = read_array(value, subject, least, most);
    for (uint32_t i = 0, n = array.Length(); i < n && i < most; i++) read(Entry(array.Get(i), at(subject, i)));
  }

  std::string subject;
  Napi::Value value;
};

/// `out`: a struct of decoder_description.def.
template <class T>
void read(const Entry& entry, T& out);

#define FIELD(name) const Entry entry(object, subject, #name)
#define SIZE(name, first, least) { FIELD(name); out.name = read_integer(entry.value, entry.subject, least, largest_size); }
#define NUMBER(name, first) { FIELD(name); out.name = read_number(entry.value, entry.subject, Range::nonnegative); }
#define FLAG(name, first) { FIELD(name); out.name = read_boolean(entry.value, entry.subject); }
#define CHOICE(name, type, first) { FIELD(name); out.name = read_choice<type>(entry.value, entry.subject, choices(type{})); }
#define NUMBERS(name, most) \
  { FIELD(name); entry.each(0, most, [&](const Entry& one) { out.name.push_back(read_number(one.value, one.subject)); }); }
#define INDICES(name, most)                                                                        \
  {                                                                                                \
    FIELD(name);                                                                                   \
    entry.each(1, most, [&](const Entry& one) {                                                    \
      out.name.push_back(static_cast<size_t>(read_integer(one.value, one.subject, 0, most - 1)));  \
    });                                                                                            \
  }
#define RECORD(name, type) { FIELD(name); read(entry, out.name); }
#define OPTIONAL_RECORD(name, type) { FIELD(name); if (!entry.value.IsUndefined()) read(entry, out.name.emplace()); }
#define RECORDS(name, type, most) \
  { FIELD(name); entry.each(1, most, [&](const Entry& one) { read(one, out.name.emplace_back()); }); }
#define OPTIONAL_RECORDS(name, type, most) \
  { FIELD(name); if (!entry.value.IsUndefined()) entry.each(1, most, [&](const Entry& one) { read(one, out.name.emplace_back()); }); }
#define NAME(name) { FIELD(name); if (!entry.value.IsUndefined()) out.name = read_string(entry.value, entry.subject); }
#define NEEDED_NAME(name) \
  NAME(name)              \
  if (out.name.empty()) reject_range("Expected a name for " + subject + "." + in_javascript(#name) + " but received none");

/// A `read` of the struct whose lines come next.
#define READER(type)                                                 \
  template <>                                                        \
  void read(const Entry& all, type& out) {                           \
    const std::string& subject = all.subject;                        \
    const Napi::Object object = read_object(all.value, subject);

READER(NormDescription)
#define NORM_FIELDS
#include "decoder_description.def"
}

READER(MixtureDescription)
#define MIXTURE_FIELDS
#include "decoder_description.def"
}

READER(AdapterDescription)
#define ADAPTER_FIELDS
#include "decoder_description.def"
}

READER(DecoderNames)
#define DECODER_NAMES
#include "decoder_description.def"
}

READER(DecoderDescription::AttentionKind)
#define ATTENTION_KIND_FIELDS
#include "decoder_description.def"
}

using AttentionKind = DecoderDescription::AttentionKind;
using QueryKeyNorm = DecoderDescription::QueryKeyNorm;
READER(DecoderDescription)
#define DECODER_FIELDS
#include "decoder_description.def"
}

void check_names(const DecoderNames& names) {
  const bool all_three = !names.query.empty() && !names.key.empty() && !names.value.empty();
  const bool none = names.query.empty() && names.key.empty() && names.value.empty();
  if (names.query_key_value.empty() ? !all_three : !none)
    reject_range("Expected names of one or of three projections for description.names.queryKeyValue but received others");
  if (names.query_norm.empty() != names.key_norm.empty() || (!names.query_norm.empty() && !all_three))
    reject_range("Expected norms of both of two projections for description.names.queryNorm but received others");
}

constexpr int64_t most_experts = 1 << 17;

void check_mixture(const DecoderDescription& d) {
  const MixtureDescription& m = *d.mixture;
  const DecoderNames& names = d.names;
  for (size_t i = 0; i < m.layers.size(); i++)
    if (m.layers[i] >= d.layers.size())
      reject_range("Expected one of the " + std::to_string(d.layers.size()) + " layers for " +
                   at("description.mixture.layers", static_cast<uint32_t>(i)) + " but received " + std::to_string(m.layers[i]));
  if (m.chosen > m.experts)
    reject_range("Expected at most " + std::to_string(m.experts) + ", all experts, for description.mixture.chosen but received " +
                 std::to_string(m.chosen));
  if (m.experts > most_experts / static_cast<int64_t>(d.layers.size()))
    reject_range("Expected at most 2^17 experts in all layers for description.mixture.experts but received " +
                 std::to_string(m.experts) + " in each of " + std::to_string(d.layers.size()));
  if (names.router.empty() || names.experts.empty() || names.expert_up.empty() || names.expert_down.empty())
    reject_range("Expected names of a router and of its experts' matrices for description.names but received none");
}

void check_layers(const DecoderDescription& d) {
  for (size_t i = 0; i < d.attention_kinds.size(); i++)
    if (const auto rotated = static_cast<int64_t>(d.attention_kinds[i].frequencies.size()); rotated > d.head_width / 2)
      reject_range("Expected at most " + std::to_string(d.head_width / 2) + " frequencies, one for two channels of a head, for " +
                   at("description.attentionKinds", static_cast<uint32_t>(i)) + " but received " + std::to_string(rotated));
  for (size_t i = 0; i < d.layers.size(); i++)
    if (d.layers[i] >= d.attention_kinds.size())
      reject_range("Expected one of the " + std::to_string(d.attention_kinds.size()) + " kinds for " +
                   at("description.layers", static_cast<uint32_t>(i)) + " but received " + std::to_string(d.layers[i]));
  // An array may have lost elements while it was read.
  if (d.attention_kinds.empty() || d.layers.empty())
    reject_range("Expected kinds of attention and layers for the description but received none");
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
  return read_choice<Activation>(value, subject, choices(Activation{}));
}

DecoderDescription read_decoder(const Napi::Object& description) {
  DecoderDescription d;
  read(Entry(description, "description"), d);
  if (d.padding_token >= d.vocabulary_size)
    reject_range("Expected a token of the " + std::to_string(d.vocabulary_size) + " for description.paddingToken but received " +
                 std::to_string(d.padding_token));
  if (d.positions == 0 && !d.names.positions.empty())
    reject_range("Expected an integer ≥ 1 for description.positions but received 0");
  if (d.norm.kind == Norm::Kind::rms && d.norm.bias)
    reject_range("Expected norms without bias for description.norm but received RMS norms with one");
  check_names(d.names);
  check_heads(d);
  check_layers(d);
  if (d.mixture) check_mixture(d);
  return d;
}

}  // namespace critical_sharpness::binding
