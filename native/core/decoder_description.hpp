#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "activation.hpp"
#include "norm.hpp"
#include "parameter_view.hpp"

namespace critical_sharpness {

class Network;

/// What the modules of a decoder are called in its checkpoints. A module without a name is one that the decoder lacks.
/// Those of a layer follow `layers` and the layer's number: "model.layers." + "3" + "." + "self_attn.q_proj".
struct DecoderNames {
  std::string embedding, positions, layers, final_norm;
  std::string head;                                      // none: the embedding serves
  std::string attention_norm, mlp_norm;                  // before; if none and parallel, attention's serves both
  std::string attention_post_norm, mlp_post_norm;        // after, before the sum
  std::string query, key, value, query_key_value;        // three projections, or all in one
  std::string query_norm, key_norm, attention_output;
  std::string gate, up, down;                            // gate: down(f(gate(x))·up(x)); none: down(f(up(x)))
};

/// A decoder-only language model (GPT-2, Llama, OLMo, …): all that its families differ in.
struct DecoderDescription {
  int64_t vocabulary_size = 0, width = 0, heads = 0, key_value_heads = 0, head_width = 0, inner_width = 0;
  int64_t positions = 0;  // rows of learned positions, if it has them
  /// How the attention of a layer looks: only at the last `window` tokens (0: all), with positions by rotation.
  struct AttentionKind {
    int64_t window = 0;
    std::vector<double> frequencies;  // radians a token, of each rotated pair of channels; none: no rotation
    double rotary_scale = 1;          // of cosines and sines
  };
  std::vector<AttentionKind> attention_kinds;
  std::vector<size_t> layers;  // of each layer, its kind

  Norm norm;  // of every norm, without its parameters
  bool norm_has_weight = true, norm_has_bias = true;
  enum class QueryKeyNorm { head, projection } query_key_norm = QueryKeyNorm::head;  // over a head's width or over all heads
  bool parallel = false;  // attention and MLP read the same input
  bool query_key_value_by_head = false;  // in one projection: q, k, v of one head after the other, or all q, all k, all v
  bool query_key_value_bias = false, attention_output_bias = false, mlp_bias = false, head_bias = false;
  WeightStorage storage = WeightStorage::out_in;  // of the layers' projections
  Activation activation = Activation::silu;

  double attention_scale = 1, attention_cap = 0, logit_cap = 0, embedding_scale = 1;
  double residual_scale = 1;  // of what attention and MLP add
  double logit_scale = 1;     // of the features' product with the head's weight, before its bias and the cap
  double query_key_value_bound = 0;  // these stay within ±bound; 0: no bound
  double initial_deviation = 0.02;   // of weights
  int64_t padding_token = -1;        // its embedding gets no gradient (that of a tied head stays); −1: none
  DecoderNames names;
};

std::unique_ptr<const Network> make_decoder(DecoderDescription description);

}  // namespace critical_sharpness
