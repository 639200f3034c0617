#include "arguments.hpp"
#include "devices.hpp"
#include "handles.hpp"
#include "job.hpp"
#include "model_description.hpp"
#include "passes.hpp"
#include "read_bytes.hpp"
#include "tensor_arguments.hpp"

namespace critical_sharpness::binding {
namespace {

const char* name_of(at::ScalarType dtype) {
  return dtype == at::kDouble ? "float64" : dtype == at::kBFloat16 ? "bfloat16" : "float32";
}

Napi::Value parameters(const Napi::CallbackInfo& info) {
  const auto layout = ModelHandle::core(info)->layout();
  auto list = Napi::Array::New(info.Env(), layout->size());
  for (uint32_t i = 0; i < layout->size(); i++) {
    const auto& [name, sizes] = layout->parameters[i];
    auto shape = Napi::Array::New(info.Env(), sizes.size());
    for (uint32_t k = 0; k < sizes.size(); k++) shape[k] = static_cast<double>(sizes[k]);
    auto entry = Napi::Object::New(info.Env());
    entry.Set("name", name);
    entry.Set("shape", shape);
    entry.Set("trainable", layout->is_trainable(i));
    list[i] = entry;
  }
  return list;
}

/// A result's conversion for jobs after which the model holds weights.
auto once_filled(const Napi::CallbackInfo& info, int64_t bytes) {
  return [bytes, self = Napi::Persistent(info.This().As<Napi::Object>())](Napi::Env env, Nothing) -> Napi::Value {
    ModelHandle::hold(self.Value(), bytes);
    return env.Undefined();
  };
}

Napi::Value initialize(const Napi::CallbackInfo& info) {
  const auto model = ModelHandle::core(info);
  const auto scheme = read_choice<Initialization>(info[0], "scheme",
                                                  {{"gpt2", Initialization::gpt2},
                                                   {"normal", Initialization::normal},
                                                   {"pytorch", Initialization::pytorch},
                                                   {"he", Initialization::he},
                                                   {"zeros", Initialization::zeros}});
  const auto seed = static_cast<uint64_t>(read_integer(info[1], "seed", 0, int64_t{1} << 53));
  const Cancellation cancel = read_cancel(info[2]);
  return submit(
      info.Env(), [=] { model->initialize(scheme, seed, cancel); return Nothing{}; }, once_filled(info, model->byte_length()),
      cancel);
}

Napi::Value load(const Napi::CallbackInfo& info) {
  const auto model = ModelHandle::core(info);
  const Napi::Value seed = info[1].IsObject() ? info[1].As<Napi::Object>().Get("seed") : info.Env().Undefined();
  const auto tensors = read_file_tensors(info[0], model->layout()->size(), !seed.IsUndefined(), "tensors");
  const auto drawn = seed.IsUndefined() ? 0 : static_cast<uint64_t>(read_integer(seed, "options.seed", 0, int64_t{1} << 53));
  const Cancellation cancel = read_cancel(info[1]);
  return submit(
      info.Env(), [=] { model->load(tensors, Initialization::normal, drawn, cancel); return Nothing{}; }, once_filled(info, model->byte_length()), cancel);
}

Napi::Value read(const Napi::CallbackInfo& info) {
  const auto model = ModelHandle::core(info);
  return read_parameter(info, model->layout()->size(), [model](size_t index, int64_t offset, int64_t length) {
    return model->read_bytes(index, offset, length);
  });
}

Napi::Value read_buffer(const Napi::CallbackInfo& info) {
  const auto model = ModelHandle::core(info);
  return read_parameter(info, model->network().buffer_count(), [model](size_t index, int64_t offset, int64_t length) {
    return model->read_buffer(index, offset, length);
  });
}

Napi::Value move_buffers(const Napi::CallbackInfo& info) {
  const auto model = ModelHandle::core(info);
  const auto batch = BatchHandle::core(info[0], "batch");
  const PassOptions options = read_pass_options(info[1]);
  return submit(
      info.Env(), [=] { model->move_buffers(*batch, options); return Nothing{}; }, to_undefined, options.cancel);
}

Napi::Value step(const Napi::CallbackInfo& info) {
  const auto model = ModelHandle::core(info);
  const auto direction = VectorHandle::core(info[0], "direction");
  const double learning_rate = read_number(info[1], "learningRate");
  const Cancellation cancel = read_cancel(info[2]), ending;
  return submit(
      info.Env(), [=] { model->step(*direction, learning_rate, cancel, ending); return Nothing{}; }, to_undefined, ending);
}

Napi::Value copy_weights(const Napi::CallbackInfo& info) {
  const auto model = ModelHandle::core(info);
  const Cancellation cancel = read_cancel(info[0]);
  return submit(info.Env(), [=] { return model->copy_weights(cancel); }, VectorHandle::wrap, cancel);
}

Napi::Value restore_weights(const Napi::CallbackInfo& info) {
  const auto model = ModelHandle::core(info);
  const auto saved = VectorHandle::stored(info[0], "weights");
  const Cancellation cancel = read_cancel(info[1]), ending;
  return submit(info.Env(), [=] { model->restore_weights(*saved, cancel, ending); return Nothing{}; }, to_undefined, ending);
}

at::ScalarType read_dtype(const Napi::Value& value, const std::string& subject) {
  return read_choice<at::ScalarType>(value, subject,
                                     {{"float32", at::kFloat}, {"float64", at::kDouble}, {"bfloat16", at::kBFloat16}});
}

Napi::Value create_model(const Napi::CallbackInfo& info) {
  const auto group = info[5].IsUndefined() || info[5].IsNull() ? nullptr : GroupHandle::core(info[5], "group");
  const at::Device device =
      info[3].IsUndefined() ? at::Device(at::kCPU) : find_device(read_string(info[3], "device"), group ? group->local_rank() : 0);
  auto network = read_network(info[0], device);
  const auto compute = read_dtype(info[1], "computeDtype");
  const at::ScalarType usual = compute == at::kDouble ? at::kDouble : at::kFloat;
  const auto weights = info[2].IsUndefined() ? usual : read_dtype(info[2], "parameterDtype");
  if ((compute == at::kDouble) != (weights == at::kDouble))
    reject_range(std::string("Expected parameters and arithmetic both in float64, or neither, for the model but received ") +
                 name_of(weights) + " parameters and arithmetic in " + name_of(compute));
  const std::vector<bool> trainable =
      info[4].IsUndefined() ? std::vector<bool>() : read_booleans(info[4], "trainable", network->parameters().size());
  return ModelHandle::make(info.Env(), std::make_shared<Model>(std::move(network), weights, compute, device, trainable, group), 0);
}

}  // namespace

void ModelHandle::define(Napi::Env env) {
  Environment::of(env).model = define_class(env, [](Napi::Object& prototype) {
    getter(prototype, "parameters", parameters);
    getter(prototype, "parameterDtype", [](const Napi::CallbackInfo& info) -> Napi::Value {
      return Napi::String::New(info.Env(), name_of(core(info)->weight_dtype()));
    });
    getter(prototype, "vectorDtype", [](const Napi::CallbackInfo& info) -> Napi::Value {
      return Napi::String::New(info.Env(), name_of(core(info)->layout()->dtype));
    });
    getter(prototype, "computeDtype", [](const Napi::CallbackInfo& info) -> Napi::Value {
      return Napi::String::New(info.Env(), name_of(core(info)->compute_dtype()));
    });
    getter(prototype, "device", [](const Napi::CallbackInfo& info) -> Napi::Value {
      return Napi::String::New(info.Env(), core(info)->device().str());
    });
    getter(prototype, "version", [](const Napi::CallbackInfo& info) -> Napi::Value {
      return to_number(info.Env(), static_cast<double>(core(info)->version()));
    });
    getter(prototype, "rank", [](const Napi::CallbackInfo& info) -> Napi::Value {
      return Napi::Number::New(info.Env(), rank_in(*core(info)->layout()));
    });
    getter(prototype, "ranks", [](const Napi::CallbackInfo& info) -> Napi::Value {
      return Napi::Number::New(info.Env(), ranks_in(*core(info)->layout()));
    });
    async_method(prototype, "initialize", initialize);
    async_method(prototype, "load", load);
    async_method(prototype, "read", read);
    async_method(prototype, "readBuffer", read_buffer);
    async_method(prototype, "moveBuffers", move_buffers);
    async_method(prototype, "step", step);
    async_method(prototype, "copyWeights", copy_weights);
    async_method(prototype, "restoreWeights", restore_weights);
    async_method(prototype, "loss", loss);
    async_method(prototype, "expertChanges", expert_changes);
    async_method(prototype, "gradient", gradient);
  });
}

void export_models(Napi::Env env, Napi::Object& exports) {
  ModelHandle::define(env);
  method(exports, "createModel", create_model);
}

}  // namespace critical_sharpness::binding
