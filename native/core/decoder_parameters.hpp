#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "network/feature_network.hpp"
#include "decoder_description.hpp"

namespace critical_sharpness {

/// An adapter's matrices in the layout: A of [rank, in] and B of [out, rank].
struct LowRankProjection {
  size_t down = 0, up = 0;
  double scale = 1;
};

/// A linear layer's parameters in the layout.
struct Projection {
  size_t weight = 0;
  std::optional<size_t> bias;
  std::optional<LowRankProjection> adapter;
};

/// down(f(gate(x))·up(x)), or down(f(up(x))) without a gate.
struct DecoderMlp {
  std::optional<Projection> gate;
  Projection up, down;
};

struct DecoderLayer {
  std::optional<Norm> attention_norm, attention_post_norm, mlp_norm, mlp_post_norm, query_norm, key_norm;
  std::optional<Projection> query, key, value, query_key_value;
  Projection attention_output;
  std::optional<Projection> router;  // of a layer with a mixture; without one its MLP is the one expert
  std::vector<DecoderMlp> experts;
};

/// A decoder's parameters: in order, and by what they are for.
class DecoderParameters {
 public:
  explicit DecoderParameters(const DecoderDescription& description);

  size_t embedding = 0;
  std::optional<size_t> positions;
  std::vector<DecoderLayer> layers;
  Norm final_norm;
  Projection head;  // tied: the embedding

  const std::vector<ParameterSpec>& specs() const { return specs_; }
  /// As of Network::blocks.
  const std::vector<std::vector<size_t>>& blocks() const { return blocks_; }
  /// "normal": weights N(0, deviation²), biases 0, norms as they multiply by 1. "gpt2": deviation 0.02, projections into
  /// the residual stream divided by √(2·layers) (Radford et al. 2019). An adapter's A U(−1/√in, 1/√in), its B 0, as PEFT has them.
  InitialValue initial_value(size_t parameter, const std::string& scheme) const;

 private:
  enum class Role { matrix, residual_matrix, scale, offset, adapter_down };
  size_t add(std::string name, std::vector<int64_t> shape, Role role);
  Projection add_projection(const std::string& name, int64_t inputs, int64_t outputs, bool bias, Role role = Role::matrix);
  std::optional<Projection> maybe_projection(const std::string& prefix, const std::string& name, int64_t outputs, bool bias);
  Norm add_norm(const std::string& name, int64_t width);
  std::optional<Norm> maybe_norm(const std::string& prefix, const std::string& name, int64_t width);
  struct MlpNames {
    std::string gate, up, down;
  };
  DecoderMlp add_mlp(const std::string& prefix, const MlpNames& names, int64_t width);
  void add_mixture(const std::string& prefix, DecoderLayer& layer);
  DecoderLayer add_layer(size_t number);

  std::optional<LowRankProjection> maybe_adapter(const std::string& module, int64_t inputs, int64_t outputs);

  const DecoderDescription& d_;
  std::map<std::string, const AdapterDescription*> adapters_;  // those that are not taken yet
  std::vector<ParameterSpec> specs_;
  std::vector<Role> roles_;
  std::vector<std::vector<size_t>> blocks_{1};  // the last is being filled
};

}  // namespace critical_sharpness
