#include <algorithm>

#include "arguments.hpp"
#include "handles.hpp"
#include "job.hpp"
#include "read_bytes.hpp"
#include "tensor_arguments.hpp"
#include "vector_algebra.hpp"

namespace critical_sharpness::binding {
namespace {

/// A job that makes a new, stored vector.
template <class Make>
Napi::Value make_vector(const Napi::CallbackInfo& info, const Cancellation& cancel, Make make) {
  return submit(
      info.Env(),
      [make = std::move(make)]() -> std::shared_ptr<const Direction> { return std::make_shared<ParameterVector>(make()); },
      VectorHandle::wrap, cancel);
}

Napi::Value byte_length(const Napi::CallbackInfo& info) {
  return to_number(info.Env(), static_cast<double>(VectorHandle::core(info)->byte_length()));
}

Napi::Value is_stored(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), VectorHandle::core(info)->as_stored() != nullptr);
}

Napi::Value dot(const Napi::CallbackInfo& info) {
  const auto a = VectorHandle::core(info), b = VectorHandle::core(info[0], "other");
  const Cancellation cancel = read_cancel(info[1]);
  return submit(info.Env(), [=] { return a->dot(*b, cancel); }, to_number, before_turn(*a->layout(), cancel));
}

Napi::Value norm(const Napi::CallbackInfo& info) {
  const auto vector = VectorHandle::core(info);
  const Cancellation cancel = read_cancel(info[0]);
  return submit(info.Env(), [=] { return vector->norm(cancel); }, to_number, before_turn(*vector->layout(), cancel));
}

Napi::Value store_numbers(const Napi::CallbackInfo& info) {
  const auto vector = VectorHandle::core(info);
  const Cancellation cancel = read_cancel(info[0]);
  return make_vector(info, cancel, [=] { return store(*vector, cancel); });
}

Napi::Value scale(const Napi::CallbackInfo& info) {
  const auto vector = VectorHandle::stored(info.This(), "scale");
  const double k = read_number(info[0], "k");
  const Cancellation cancel = read_cancel(info[1]);
  return make_vector(info, cancel, [=] { return vector->scaled(k, cancel); });
}

Napi::Value multiply(const Napi::CallbackInfo& info) {
  const auto a = VectorHandle::stored(info.This(), "multiply"), b = VectorHandle::stored(info[0], "other");
  const Cancellation cancel = read_cancel(info[1]);
  return make_vector(info, cancel, [=] { return elementwise_product(*a, *b, cancel); });
}

Napi::Value inverse_square_root_of(const Napi::CallbackInfo& info) {
  const auto vector = VectorHandle::stored(info.This(), "inverseSquareRoot");
  const Cancellation cancel = read_cancel(info[0]);
  return make_vector(info, cancel, [=] { return inverse_square_root(*vector, cancel); });
}

Napi::Value mask(const Napi::CallbackInfo& info) {
  const auto vector = VectorHandle::core(info);
  const auto keep = read_booleans(info[0], "keep", vector->layout()->size());
  return VectorHandle::wrap(info.Env(), vector->masked(keep));
}

Napi::Value has(const Napi::CallbackInfo& info) {
  const auto vector = VectorHandle::core(info);
  const int64_t index = read_integer(info[0], "index", 0, static_cast<int64_t>(vector->layout()->size()) - 1);
  return Napi::Boolean::New(info.Env(), vector->has(static_cast<size_t>(index)));
}

Napi::Value read(const Napi::CallbackInfo& info) {
  const auto vector = VectorHandle::core(info);
  return read_parameter(info, vector->layout()->size(), [vector](size_t index, int64_t offset, int64_t length) {
    return read_bytes(*vector, index, offset, length);
  });
}

Napi::Value load(const Napi::CallbackInfo& info) {
  const auto layout = ModelHandle::core(info[0], "model")->layout();
  const auto tensors = read_file_tensors(info[1], layout->size(), true, "tensors");
  const Cancellation cancel = read_cancel(info[2]);
  return submit(info.Env(), [=] { return load_vector(layout, tensors, cancel); }, VectorHandle::wrap, cancel);
}

/// A direction's part in one parameter: numbers, or factors of a matrix.
kernels::Delta read_part(const Napi::Value& value, const Model& model, size_t parameter, const std::string& subject) {
  if (value.IsNull()) return {};
  const Layout& layout = *model.layout();
  const std::vector<int64_t>& shape = layout.parameters[parameter].shape;
  const Napi::Object given = read_object(value, subject);
  const auto read = [&](const Napi::Value& numbers, const std::vector<int64_t>& sizes, const char* name) {
    return read_tensor(numbers, Numbers::floats, sizes, subject + name).to(layout.options());
  };
  const Napi::Value numbers = given.Get("numbers");
  if (!numbers.IsUndefined()) return kernels::StoredDelta{read(numbers, shape, ".numbers")};
  if (shape.size() != 2)
    reject_range("Expected numbers for " + subject + ", which is no matrix, but received factors");
  const int64_t rank = read_integer(given.Get("rank"), subject + ".rank", 1, std::min(shape[0], shape[1]));
  kernels::LowRank factors;
  factors.left = read(given.Get("left"), {shape[0], rank}, ".left");
  factors.right = read(given.Get("right"), {rank, shape[1]}, ".right");
  factors.scale = read_number(given.Get("scale"), subject + ".scale");
  return kernels::low_rank_delta(model.parameter(parameter), std::move(factors));
}

Napi::Value assemble(const Napi::CallbackInfo& info) {
  const auto model = ModelHandle::core(info[0], "model");
  const auto count = static_cast<uint32_t>(model->layout()->size());
  const Napi::Array given = read_array(info[1], "parts", count, count);
  std::vector<kernels::Delta> parts;
  for (uint32_t i = 0; i < count; i++) parts.push_back(read_part(given.Get(i), *model, i, "parts[" + std::to_string(i) + "]"));
  return VectorHandle::wrap(info.Env(), assembled_direction(model->layout(), std::move(parts)));
}

Napi::Value difference_of_models(const Napi::CallbackInfo& info) {
  const auto a = ModelHandle::core(info[0], "model"), b = ModelHandle::core(info[1], "other");
  const Cancellation cancel = read_cancel(info[2]);
  return submit(info.Env(), [=] { return difference(*a, *b, cancel); }, VectorHandle::wrap, cancel);
}

Napi::Value combine(const Napi::CallbackInfo& info) {
  const Napi::Array given = read_array(info[0], "vectors", 1, 1 << 20);
  std::vector<SharedVector> vectors;
  for (uint32_t i = 0, n = given.Length(); i < n; i++)
    vectors.push_back(VectorHandle::stored(given.Get(i), "vectors[" + std::to_string(i) + "]"));
  const auto coefficients = read_numbers(info[1], "coefficients", vectors.size(), Range::any);
  const Cancellation cancel = read_cancel(info[2]);
  return make_vector(info, cancel, [=] { return linear_combination(vectors, coefficients, cancel); });
}

Napi::Value draw(const Napi::CallbackInfo& info) {
  const auto layout = ModelHandle::core(info[0], "model")->layout();
  const auto distribution = read_choice<Distribution>(
      info[1], "distribution", {{"normal", Distribution::normal}, {"rademacher", Distribution::rademacher}});
  const auto seed = static_cast<uint64_t>(read_integer(info[2], "seed", 0, int64_t{1} << 53));
  const Cancellation cancel = read_cancel(info[3]);
  return make_vector(info, cancel, [=] { return random_vector(layout, distribution, seed, cancel); });
}

}  // namespace

void VectorHandle::define(Napi::Env env) {
  Environment::of(env).vector = define_class(env, [](Napi::Object& prototype) {
    getter(prototype, "byteLength", byte_length);
    getter(prototype, "stored", is_stored);
    getter(prototype, "rank", [](const Napi::CallbackInfo& info) -> Napi::Value {
      return Napi::Number::New(info.Env(), rank_in(*core(info)->layout()));
    });
    getter(prototype, "ranks", [](const Napi::CallbackInfo& info) -> Napi::Value {
      return Napi::Number::New(info.Env(), ranks_in(*core(info)->layout()));
    });
    async_method(prototype, "store", store_numbers);
    async_method(prototype, "dot", dot);
    async_method(prototype, "norm", norm);
    async_method(prototype, "scale", scale);
    async_method(prototype, "multiply", multiply);
    async_method(prototype, "inverseSquareRoot", inverse_square_root_of);
    method(prototype, "mask", mask);
    method(prototype, "has", has);
    async_method(prototype, "read", read);
  });
}

void export_vectors(Napi::Env env, Napi::Object& exports) {
  VectorHandle::define(env);
  async_method(exports, "loadVector", load);
  method(exports, "createDirection", assemble);
  async_method(exports, "difference", difference_of_models);
  async_method(exports, "combine", combine);
  async_method(exports, "randomVector", draw);
}

}  // namespace critical_sharpness::binding
