#pragma once
// Decoders of two layers which between them have all that families differ in.
#include <vector>

#include "decoder_description.hpp"

namespace critical_sharpness::test {

/// A Llama with grouped heads; others change what is theirs.
DecoderDescription llama();
/// Two kinds of layers, norms before and after of 1 + w, capped scores and logits, a scaled embedding that is the head's too.
DecoderDescription gemma();
/// Parallel, in one projection by head, a part of the heads rotated, layer norms, biases, no gate.
DecoderDescription neox();
/// Norms of queries and keys, and after, none before.
DecoderDescription post_norms(DecoderDescription::QueryKeyNorm over);
/// A scale of the embedding, of scores, of what is added to the residual stream and of logits; the first layer without positions.
DecoderDescription granite(DecoderDescription d);
/// A mixture of experts in the last layer, whose weights add up to 1, or in all, whose weights do not.
DecoderDescription mixture(DecoderDescription d, bool normalized, double balance = 0);
/// Low-rank matrices beside some of its projections.
DecoderDescription adapted(DecoderDescription d);
/// These and more.
std::vector<DecoderDescription> decoder_descriptions();

/// The same with 301 tokens and matrices of more than one chunk of the kernels.
DecoderDescription enlarged(DecoderDescription description);

}  // namespace critical_sharpness::test
