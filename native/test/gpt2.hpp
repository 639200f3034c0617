#pragma once
// GPT-2, as the decoder describes it: the model that most tests of core use.
#include "decoder_description.hpp"
#include "network/network.hpp"

namespace critical_sharpness::test {

struct Gpt2Description {
  int64_t vocabulary_size = 0, context_length = 0, width = 0, layers = 0, heads = 0, inner_width = 0;
  Activation activation = Activation::gelu_tanh;
  double norm_epsilon = 1e-5;
  bool tied = true;
};
DecoderDescription decoder_of(const Gpt2Description& description);
/// One with 301 tokens and matrices of more than one chunk of the kernels.
Gpt2Description enlarged_gpt2(bool tied);
inline std::unique_ptr<Network> make_gpt2(const Gpt2Description& d) { return make_decoder(decoder_of(d)); }

}  // namespace critical_sharpness::test
