#include "arguments.hpp"
#include "handles.hpp"
#include "program_arguments.hpp"
#include "tensor_arguments.hpp"

namespace critical_sharpness::binding {
namespace {

Napi::Value wrap(Napi::Env env, std::shared_ptr<const Batch> batch) {
  const int64_t bytes = batch->byte_length();
  return BatchHandle::make(env, std::move(batch), bytes);
}

Napi::Value shape(const Napi::CallbackInfo& info) {
  const auto batch = BatchHandle::core(info);
  auto sizes = Napi::Array::New(info.Env());
  sizes[0u] = static_cast<double>(batch->rows());
  if (batch->kind() == Batch::Kind::tokens) sizes[1u] = static_cast<double>(batch->inputs().size(1));
  return sizes;
}

// Shapes are read before data: reading an array runs code of the caller's, which may resize or detach the data.

Napi::Value create_token_batch(const Napi::CallbackInfo& info) {
  const auto shape = read_shape(info[2], "shape", 2, 2);
  const bool relative = read_boolean(info[3], "relativePositions");
  const at::Tensor inputs = borrow_integers(info[0], shape, "inputIds"), labels = borrow_integers(info[1], shape, "labels");
  return wrap(info.Env(), Batch::tokens(inputs, labels, relative));
}

Napi::Value create_example_batch(const Napi::CallbackInfo& info) {
  const auto input_shape = read_shape(info[1], "inputShape", 2, 2);
  const auto target_shape = read_shape(info[3], "targetShape", 1, 2);
  at::Tensor inputs = read_tensor(info[0], Numbers::floats, input_shape, "inputs");
  return wrap(info.Env(), Batch::examples(std::move(inputs), read_tensor(info[2], Numbers::either, target_shape, "targets")));
}

Napi::Value create_named_batch(const Napi::CallbackInfo& info) {
  const Napi::Array given = read_array(info[0], "tensors", 1, 10'000);
  Batch::Named tensors;
  for (uint32_t i = 0, n = given.Length(); i < n; i++) {
    const std::string subject = "tensors[" + std::to_string(i) + "]";
    const Napi::Object tensor = read_object(given.Get(i), subject);
    const std::string name = read_string(tensor.Get("name"), subject + ".name");
    const at::ScalarType dtype = read_program_dtype(tensor.Get("dtype"), subject + ".dtype");
    const auto shape = read_shape(tensor.Get("shape"), subject + ".shape", 0, 64);
    tensors.emplace_back(name, read_bytes_as(tensor.Get("data"), dtype, shape, '"' + name + '"'));
  }
  return wrap(info.Env(), Batch::named(std::move(tensors)));
}

/// Shares its memory with the whole, which has been reported.
Napi::Value part(const Napi::CallbackInfo& info) {
  const auto batch = BatchHandle::core(info);
  const int64_t start = read_integer(info[0], "start", 0, batch->rows() - 1);
  const int64_t length = read_integer(info[1], "length", 1, batch->rows() - start);
  return BatchHandle::make(info.Env(), batch->part(start, length), 0);
}

/// As many rows, in the same memory, with an objective of their own.
Napi::Value weighted(const Napi::CallbackInfo& info) {
  const auto batch = BatchHandle::core(info);
  const std::vector<int64_t> shape =
      batch->kind() == Batch::Kind::tokens ? batch->targets().sizes().vec() : std::vector<int64_t>{batch->rows()};
  return wrap(info.Env(), batch->weighted(read_tensor(info[0], Numbers::floats, shape, "weights").to(at::kDouble)));
}

Napi::Value preferences(const Napi::CallbackInfo& info) {
  const auto batch = BatchHandle::core(info);
  const Napi::Object given = read_object(info[1], "options");
  PreferenceOptions options;
  options.beta = read_number(given.Get("beta"), "options.beta", Range::positive);
  options.label_smoothing = read_number(given.Get("labelSmoothing"), "options.labelSmoothing", Range::fraction);
  const at::Tensor reference = read_tensor(info[0], Numbers::floats, {batch->rows()}, "referenceLogProbabilities");
  return wrap(info.Env(), batch->preferences(reference.to(at::kDouble), options));
}

}  // namespace

void BatchHandle::define(Napi::Env env) {
  Environment::of(env).batch = define_class(env, [](Napi::Object& prototype) {
    getter(prototype, "kind", [](const Napi::CallbackInfo& info) -> Napi::Value {
      const auto kind = core(info)->kind();
      return Napi::String::New(info.Env(), kind == Batch::Kind::tokens ? "tokens" : kind == Batch::Kind::examples ? "examples" : "named");
    });
    getter(prototype, "shape", shape);
    getter(prototype, "count", [](const Napi::CallbackInfo& info) -> Napi::Value {
      return Napi::Number::New(info.Env(), static_cast<double>(core(info)->count()));
    });
    method(prototype, "part", part);
    method(prototype, "weighted", weighted);
    method(prototype, "preferences", preferences);
  });
}

void export_batches(Napi::Env env, Napi::Object& exports) {
  BatchHandle::define(env);
  method(exports, "createTokenBatch", create_token_batch);
  method(exports, "createExampleBatch", create_example_batch);
  method(exports, "createNamedBatch", create_named_batch);
}

}  // namespace critical_sharpness::binding
