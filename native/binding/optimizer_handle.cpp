#include <map>

#include "arguments.hpp"
#include "handles.hpp"
#include "job.hpp"
#include "state_direction.hpp"
#include "tensor_arguments.hpp"
#include "update/rules.hpp"

namespace critical_sharpness::binding {
namespace {

// What changes state or weights in place is not stopped half-way by a caller's token: `ending` is its job's own flag, which the
// end of the process or of the worker sets.

/// A result's conversion for jobs after which the optimizer holds its state.
auto after_state_change(const Napi::CallbackInfo& info, std::shared_ptr<Optimizer> optimizer) {
  return [optimizer, self = Napi::Persistent(info.This().As<Napi::Object>())](Napi::Env env, Nothing) -> Napi::Value {
    OptimizerHandle::hold(self.Value(), optimizer->steps() > 0 ? optimizer->byte_length() : 0);
    return env.Undefined();
  };
}

Napi::Value steps(const Napi::CallbackInfo& info) {
  return to_number(info.Env(), static_cast<double>(OptimizerHandle::core(info)->steps()));
}

Napi::Value accumulate(const Napi::CallbackInfo& info) {
  const auto optimizer = OptimizerHandle::core(info);
  const auto gradient = VectorHandle::stored(info[0], "gradient");
  const Cancellation cancel = read_cancel(info[1]), ending;
  return submit(
      info.Env(), [=] { optimizer->accumulate(*gradient, cancel, ending); return Nothing{}; },
      after_state_change(info, optimizer), ending);
}

Napi::Value accumulate_from(const Napi::CallbackInfo& info) {
  const auto optimizer = OptimizerHandle::core(info);
  const auto batch = BatchHandle::core(info[0], "batch");
  const bool decay = read_boolean(read_object(info[1], "options").Get("weightDecay"), "options.weightDecay");
  const PassOptions options = read_pass_options(info[1]);
  optimizer->model()->check(*batch);
  return submit(
      info.Env(), [=] { return optimizer->accumulate_from(*batch, options, decay); },
      [optimizer, self = Napi::Persistent(info.This().As<Napi::Object>())](Napi::Env env, const AccumulatedGradient& result)
          -> Napi::Value {
        OptimizerHandle::hold(self.Value(), optimizer->byte_length());
        auto slopes = Napi::Array::New(env, result.slopes.size());
        for (uint32_t i = 0; i < result.slopes.size(); i++) slopes[i] = result.slopes[i];
        auto object = Napi::Object::New(env);
        object.Set("loss", result.loss.loss);
        object.Set("version", static_cast<double>(result.loss.version));
        object.Set("norm", result.norm);
        object.Set("slopes", slopes);
        return object;
      },
      before_turn(*optimizer->model()->layout(), options.cancel));
}

Napi::Value direction(const Napi::CallbackInfo& info) {
  const auto optimizer = OptimizerHandle::core(info);
  const Napi::Object given = read_object(info[0], "options");
  const bool decay = read_boolean(given.Get("weightDecay"), "options.weightDecay");
  const Napi::Value choice = given.Get("stored");
  const bool stored = choice.IsUndefined() || read_boolean(choice, "options.stored");
  using Shared = std::shared_ptr<const Direction>;
  const Cancellation cancel = read_cancel(given);
  return submit(
      info.Env(),
      [=]() -> Shared { return stored ? Shared(optimizer->direction(decay, cancel)) : state_direction(optimizer, decay); },
      VectorHandle::wrap, cancel);
}

Napi::Value preconditioner(const Napi::CallbackInfo& info) {
  const auto optimizer = OptimizerHandle::core(info);
  const Cancellation cancel = read_cancel(info[0]);
  return submit(info.Env(), [=] { return optimizer->preconditioner(cancel); }, VectorHandle::wrap, cancel);
}

Napi::Value step(const Napi::CallbackInfo& info) {
  const auto optimizer = OptimizerHandle::core(info);
  const double learning_rate = read_number(info[0], "learningRate");
  const Cancellation cancel = read_cancel(info[1]), ending;
  return submit(
      info.Env(), [=] { optimizer->step(learning_rate, cancel, ending); return Nothing{}; }, to_undefined, ending);
}

Napi::Value state(const Napi::CallbackInfo& info) {
  const auto optimizer = OptimizerHandle::core(info);
  return submit(
      info.Env(), [=] { return optimizer->state(); },
      [](Napi::Env env, const OptimizerState& state) -> Napi::Value {
        auto object = Napi::Object::New(env);
        for (const auto& [role, vector] : state) object.Set(role, VectorHandle::wrap(env, vector));
        return object;
      });
}

Napi::Value restore(const Napi::CallbackInfo& info) {
  const auto optimizer = OptimizerHandle::core(info);
  const int64_t steps = read_integer(info[0], "steps", 0, int64_t{1} << 53);
  const Napi::Object given = read_object(info[1], "state");
  const Napi::Array roles = given.GetPropertyNames();
  OptimizerState state;
  for (uint32_t i = 0, n = roles.Length(); i < n; i++) {
    const std::string role = read_string(roles.Get(i), "a key of state");
    state[role] = VectorHandle::stored(given.Get(role), "state." + role);
  }
  return submit(
      info.Env(), [=] { optimizer->restore(steps, state); return Nothing{}; }, after_state_change(info, optimizer));
}

ParameterGroups read_groups(const Napi::Value& value, const Model& model) {
  const Napi::Object given = read_object(value, "groups");
  const size_t count = model.layout()->size();
  return {read_numbers(given.Get("learningRateRatio"), "groups.learningRateRatio", count, Range::positive),
          read_numbers(given.Get("weightDecay"), "groups.weightDecay", count, Range::nonnegative)};
}

/// Of a rule's options the numbers and booleans; what is none of them the rule complains about.
update::RuleOptions read_options(const Napi::Value& value, const std::string& subject) {
  const Napi::Object given = read_object(value, subject);
  const Napi::Array names = given.GetPropertyNames();
  std::map<std::string, update::RuleOptions::Value> options;
  for (uint32_t i = 0, n = names.Length(); i < n; i++) {
    const std::string name = read_string(names.Get(i), "a key of " + subject);
    const Napi::Value option = given.Get(name);
    if (option.IsBoolean()) options[name] = option.As<Napi::Boolean>().Value();
    else if (option.IsNumber()) options[name] = option.As<Napi::Number>().DoubleValue();
    else options[name] = std::monostate();
  }
  return update::RuleOptions(std::move(options));
}

Rules read_rules(const Napi::Value& rules, const Napi::Value& of, const Model& model) {
  const Napi::Array given = read_array(rules, "rules", 1, 64);
  const uint32_t count = given.Length();
  Rules all;
  for (uint32_t i = 0; i < count; i++) {
    const std::string subject = "rules[" + std::to_string(i) + "]";
    const Napi::Object rule = read_object(given.Get(i), subject);
    const std::string name = read_string(rule.Get("name"), subject + ".name");
    all.rules.push_back(update::make_rule(name, read_options(rule.Get("options"), subject + ".options")));
  }
  const auto parameters = static_cast<uint32_t>(model.layout()->size());
  const Napi::Array places = read_array(of, "ruleOf", parameters, parameters);
  for (uint32_t i = 0; i < parameters; i++)
    all.of.push_back(static_cast<size_t>(read_integer(places.Get(i), "ruleOf[" + std::to_string(i) + "]", 0, count - 1)));
  return all;
}

Napi::Value create_optimizer(const Napi::CallbackInfo& info) {
  const auto model = ModelHandle::core(info[0], "model");
  const auto groups = read_groups(info[1], *model);
  const Rules rules = read_rules(info[2], info[3], *model);
  return OptimizerHandle::make(info.Env(), std::make_unique<Optimizer>(model, groups, rules), 0);
}

/// Each parameter's state tensors, by the names that files have for them.
Napi::Value roles(const Napi::CallbackInfo& info) {
  const auto optimizer = OptimizerHandle::core(info);
  const size_t parameters = optimizer->model()->layout()->size();
  auto all = Napi::Array::New(info.Env(), parameters);
  for (uint32_t i = 0; i < parameters; i++) {
    const auto own = optimizer->roles(i);
    auto names = Napi::Array::New(info.Env(), own.size());
    for (uint32_t r = 0; r < own.size(); r++) names[r] = own[r].name;
    all[i] = names;
  }
  return all;
}

}  // namespace

void OptimizerHandle::define(Napi::Env env) {
  Environment::of(env).optimizer = define_class(env, [](Napi::Object& prototype) {
    getter(prototype, "steps", steps);
    getter(prototype, "roles", roles);
    async_method(prototype, "accumulate", accumulate);
    async_method(prototype, "accumulateFrom", accumulate_from);
    async_method(prototype, "direction", direction);
    async_method(prototype, "preconditioner", preconditioner);
    async_method(prototype, "step", step);
    async_method(prototype, "state", state);
    async_method(prototype, "restore", restore);
  });
}

void export_optimizers(Napi::Env env, Napi::Object& exports) {
  OptimizerHandle::define(env);
  method(exports, "createOptimizer", create_optimizer);
}

}  // namespace critical_sharpness::binding
