#include <limits>

#include "arguments.hpp"
#include "handles.hpp"
#include "job.hpp"

namespace critical_sharpness::binding {
namespace {

Napi::Value product(const Napi::CallbackInfo& info) {
  const auto curvature = CurvatureHandle::core(info);
  const auto vector = VectorHandle::stored(info[0], "vector");
  const Napi::Value given = read_object(info[1], "options").Get("cancel");
  const Cancellation cancel = given.IsUndefined() ? Cancellation() : *CancelTokenHandle::core(given, "options.cancel");
  return submit(
      info.Env(), [=] { return curvature->product(*vector, cancel); },
      [curvature, self = Napi::Persistent(info.This().As<Napi::Object>())](Napi::Env env,
                                                                           const CurvatureResult& result) -> Napi::Value {
        CurvatureHandle::hold(self.Value(), curvature->byte_length());
        auto object = Napi::Object::New(env);
        object.Set("slope", to_number(env, result.slope));
        object.Set("version", to_number(env, static_cast<double>(result.version)));
        object.Set("product", VectorHandle::wrap(env, result.product));
        return object;
      },
      before_turn(*curvature->model()->layout(), cancel));
}

Napi::Value create(const Napi::CallbackInfo& info) {
  const auto model = ModelHandle::core(info[0], "model");
  const auto batch = BatchHandle::core(info[1], "batch");
  const Napi::Object given = read_object(info[2], "options");
  CurvatureOptions options;
  options.kind = read_choice<curvature::Operator>(
      given.Get("operator"), "options.operator",
      {{"hessian", curvature::Operator::hessian}, {"gauss-newton", curvature::Operator::gauss_newton}});
  options.micro_batch = read_integer(given.Get("microBatch"), "options.microBatch", 0, std::numeric_limits<int32_t>::max());
  options.keep = read_boolean(given.Get("keep"), "options.keep");
  return CurvatureHandle::make(info.Env(), std::make_shared<Curvature>(model, batch, options), 0);
}

}  // namespace

void CurvatureHandle::define(Napi::Env env) {
  Environment::of(env).curvature = define_class(env, [](Napi::Object& prototype) {
    async_method(prototype, "product", product);
  });
}

void export_curvature(Napi::Env env, Napi::Object& exports) {
  CurvatureHandle::define(env);
  method(exports, "createCurvature", create);
}

}  // namespace critical_sharpness::binding
