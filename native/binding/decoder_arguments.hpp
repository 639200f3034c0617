#pragma once
#include "decoder_description.hpp"
#include "node_api.hpp"

namespace critical_sharpness::binding {

Activation read_activation(const Napi::Value& value, const std::string& subject);

/// NativeDecoderDescription of lib/torch/model-description.ts.
DecoderDescription read_decoder(const Napi::Object& description);

}  // namespace critical_sharpness::binding
