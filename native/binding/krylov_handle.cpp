#include "arguments.hpp"
#include "handles.hpp"
#include "job.hpp"

namespace critical_sharpness::binding {
namespace {

using Shared = std::shared_ptr<const ParameterVector>;

/// A result's conversion that first puts down what the basis holds by then.
template <class ToJs>
auto after_change(const Napi::CallbackInfo& info, std::shared_ptr<Krylov> krylov, ToJs to_js) {
  return [krylov, to_js, self = Napi::Persistent(info.This().As<Napi::Object>())](Napi::Env env, auto result) -> Napi::Value {
    KrylovHandle::hold(self.Value(), krylov->byte_length());
    return to_js(env, std::move(result));
  };
}

Napi::Value to_object(Napi::Env env, const KrylovStep& step) {
  auto coefficients = Napi::Array::New(env, step.coefficients.size());
  for (uint32_t i = 0; i < step.coefficients.size(); i++) coefficients[i] = step.coefficients[i];
  auto object = Napi::Object::New(env);
  object.Set("coefficients", coefficients);
  object.Set("beta", step.beta);
  object.Set("exhausted", step.exhausted);
  object.Set("version", static_cast<double>(step.version));
  return object;
}

Napi::Value size(const Napi::CallbackInfo& info) {
  return to_number(info.Env(), static_cast<double>(KrylovHandle::core(info)->size()));
}

Napi::Value start(const Napi::CallbackInfo& info) {
  const auto krylov = KrylovHandle::core(info);
  const Shared first = info[0].IsNull() ? nullptr : VectorHandle::stored(info[0], "first");
  return submit(info.Env(), [=] { return krylov->start(first.get()); }, after_change(info, krylov, to_boolean));
}

Napi::Value step(const Napi::CallbackInfo& info) {
  const auto krylov = KrylovHandle::core(info);
  const Napi::Value given = read_object(info[0], "options").Get("cancel");
  const Cancellation cancel = given.IsUndefined() ? Cancellation() : *CancelTokenHandle::core(given, "options.cancel");
  return submit(info.Env(), [=] { return krylov->step(cancel); }, after_change(info, krylov, to_object),
                before_turn(*krylov->layout(), cancel));
}

/// A matrix, row by row: an array of rows of one length.
Napi::Value restart(const Napi::CallbackInfo& info) {
  const auto krylov = KrylovHandle::core(info);
  const Napi::Array rows = read_array(info[0], "combinations", 1, 1 << 16);
  const uint32_t kept = rows.Length();
  std::vector<double> combination;
  for (uint32_t i = 0; i < kept; i++) {
    const std::string subject = "combinations[" + std::to_string(i) + "]";
    const Napi::Array row = read_array(rows.Get(i), subject, 1, 1 << 16);
    const size_t length = i == 0 ? row.Length() : combination.size() / i;
    for (const double number : read_numbers(row, subject, length, Range::any)) combination.push_back(number);
  }
  return submit(info.Env(), [=] { krylov->restart(kept, combination); return Nothing{}; },
                after_change(info, krylov, to_undefined));
}

Napi::Value combination(const Napi::CallbackInfo& info) {
  const auto krylov = KrylovHandle::core(info);
  const Napi::Array given = read_array(info[0], "coefficients", 1, 1 << 16);
  const auto coefficients = read_numbers(given, "coefficients", given.Length(), Range::any);
  return submit(
      info.Env(), [=]() -> Shared { return std::make_shared<ParameterVector>(krylov->combination(coefficients)); },
      VectorHandle::wrap);
}

Napi::Value create(const Napi::CallbackInfo& info) {
  const auto curvature = CurvatureHandle::core(info[0], "curvature");
  const Napi::Object given = read_object(info[1], "options");
  KrylovOptions options;
  options.seed = static_cast<uint64_t>(read_integer(given.Get("seed"), "options.seed", 0, int64_t{1} << 53));
  if (const Napi::Value scaling = given.Get("scaling"); !scaling.IsNull())
    options.scaling = VectorHandle::stored(scaling, "options.scaling");
  return KrylovHandle::make(info.Env(), std::make_shared<Krylov>(curvature, options), 0);
}

}  // namespace

void KrylovHandle::define(Napi::Env env) {
  Environment::of(env).krylov = define_class(env, [](Napi::Object& prototype) {
    getter(prototype, "size", size);
    async_method(prototype, "start", start);
    async_method(prototype, "step", step);
    async_method(prototype, "restart", restart);
    async_method(prototype, "combination", combination);
  });
}

void export_krylov(Napi::Env env, Napi::Object& exports) {
  KrylovHandle::define(env);
  method(exports, "createKrylov", create);
}

}  // namespace critical_sharpness::binding
