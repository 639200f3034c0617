#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "activation.hpp"
#include "norm.hpp"
#include "parameter_view.hpp"

namespace critical_sharpness {

class Network;

#define SIZE(name, first, least) int64_t name = first;
#define NUMBER(name, first) double name = first;
#define NUMBERS(name, most) std::vector<double> name;
#define FLAG(name, first) bool name = first;
#define CHOICE(name, type, first) type name = type::first;
#define INDICES(name, most) std::vector<size_t> name;
#define RECORD(name, type) type name;
#define OPTIONAL_RECORD(name, type) std::optional<type> name;
#define RECORDS(name, type, most) std::vector<type> name;
#define OPTIONAL_RECORDS RECORDS
#define NAME(name) std::string name;
#define NEEDED_NAME NAME

/// What the modules of a decoder are called in its checkpoints.
struct DecoderNames {
#define DECODER_NAMES
#include "decoder_description.def"
};

/// A norm without its parameters.
struct NormDescription {
#define NORM_FIELDS
#include "decoder_description.def"
};

/// What the layers with a mixture of experts (Shazeer et al. 2017) have in place of one MLP.
struct MixtureDescription {
#define MIXTURE_FIELDS
#include "decoder_description.def"
};

/// Low-rank matrices beside a projection (Hu et al. 2021).
struct AdapterDescription {
#define ADAPTER_FIELDS
#include "decoder_description.def"
};

/// A decoder-only language model (GPT-2, Llama, OLMo, …): all that its families differ in.
struct DecoderDescription {
  /// How the attention of a layer looks, and where it knows positions from.
  struct AttentionKind {
#define ATTENTION_KIND_FIELDS
#include "decoder_description.def"
  };
  enum class QueryKeyNorm { head, projection };

#define DECODER_FIELDS
#include "decoder_description.def"
};

#undef SIZE
#undef NUMBER
#undef NUMBERS
#undef FLAG
#undef CHOICE
#undef INDICES
#undef RECORD
#undef OPTIONAL_RECORD
#undef RECORDS
#undef OPTIONAL_RECORDS
#undef NAME
#undef NEEDED_NAME

std::unique_ptr<Network> make_decoder(DecoderDescription description);

}  // namespace critical_sharpness
