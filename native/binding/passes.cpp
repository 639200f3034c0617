#include "passes.hpp"

#include <optional>

#include "arguments.hpp"
#include "handles.hpp"
#include "job.hpp"
#include "tensor_arguments.hpp"

namespace critical_sharpness::binding {
namespace {

std::optional<Perturbation> read_perturbation(const Napi::Value& value) {
  if (value.IsNull() || value.IsUndefined()) return std::nullopt;
  const Napi::Object given = read_object(value, "perturbation");
  Perturbation perturbation;
  perturbation.direction = VectorHandle::core(given.Get("direction"), "perturbation.direction");
  perturbation.learning_rate = read_number(given.Get("learningRate"), "perturbation.learningRate");
  perturbation.mode = read_choice<PerturbationMode>(given.Get("mode"), "perturbation.mode",
                                                    {{"view", PerturbationMode::view}, {"in-place", PerturbationMode::in_place}});
  return perturbation;
}

Napi::Object to_object(Napi::Env env, double loss, uint64_t version) {
  auto object = Napi::Object::New(env);
  object.Set("loss", to_number(env, loss));
  object.Set("version", to_number(env, static_cast<double>(version)));
  return object;
}

}  // namespace

Napi::Value loss(const Napi::CallbackInfo& info) {
  const auto model = ModelHandle::core(info);
  const auto batch = BatchHandle::core(info[0], "batch");
  const auto perturbation = read_perturbation(info[1]);
  const PassOptions options = read_pass_options(info[2]);
  model->check(*batch);
  return submit(
      info.Env(), [=] { return model->loss(*batch, perturbation ? &*perturbation : nullptr, options); },
      [](Napi::Env env, const LossResult& result) -> Napi::Value { return to_object(env, result.loss, result.version); },
      before_turn(*model->layout(), options.cancel));
}

Napi::Value expert_changes(const Napi::CallbackInfo& info) {
  const auto model = ModelHandle::core(info);
  const auto batch = BatchHandle::core(info[0], "batch");
  const auto direction = VectorHandle::core(info[1], "direction");
  const double learning_rate = read_number(info[2], "learningRate");
  const PassOptions options = read_pass_options(info[3]);
  model->check(*batch);
  return submit(
      info.Env(), [=] { return model->expert_changes(*batch, *direction, learning_rate, options); },
      [](Napi::Env env, const ExpertChanges& changes) -> Napi::Value {
        auto object = Napi::Object::New(env);
        object.Set("tokens", to_number(env, static_cast<double>(changes.changed)));
        object.Set("of", to_number(env, static_cast<double>(changes.of)));
        return object;
      },
      before_turn(*model->layout(), options.cancel));
}

Napi::Value gradient(const Napi::CallbackInfo& info) {
  const auto model = ModelHandle::core(info);
  const auto batch = BatchHandle::core(info[0], "batch");
  const PassOptions options = read_pass_options(info[1]);
  model->check(*batch);
  return submit(
      info.Env(), [=] { return model->gradient(*batch, options); },
      [](Napi::Env env, const GradientResult& result) -> Napi::Value {
        Napi::Object object = to_object(env, result.loss, result.version);
        object.Set("gradient", VectorHandle::wrap(env, result.gradient));
        return object;
      },
      before_turn(*model->layout(), options.cancel));
}

}  // namespace critical_sharpness::binding
