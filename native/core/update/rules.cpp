#include "rules.hpp"

#include "errors.hpp"
#include "muon.hpp"

namespace critical_sharpness::update {
namespace {

std::string text_of(const RuleOptions::Value* value) {
  if (!value) return "undefined";
  if (const auto* flag = std::get_if<bool>(value)) return *flag ? "true" : "false";
  if (const auto* number = std::get_if<double>(value)) return std::to_string(*number);
  return "neither a number nor a boolean";
}

[[noreturn]] void reject(const std::string& what, const std::string& name, const RuleOptions::Value* value, bool is_type) {
  const std::string message = "Expected " + what + " for options." + name + " but received " + text_of(value);
  if (is_type) reject_type(message);
  reject_range(message);
}

}  // namespace

const RuleOptions::Value* RuleOptions::find(const std::string& name) const {
  const auto found = values_.find(name);
  return found == values_.end() ? nullptr : &found->second;
}

double RuleOptions::number(const std::string& name) const {
  const Value* value = find(name);
  const double* number = value ? std::get_if<double>(value) : nullptr;
  if (!number) reject("a number", name, value, true);
  if (!std::isfinite(*number)) reject("a finite number", name, value, false);
  return *number;
}

double RuleOptions::fraction(const std::string& name) const {
  const double x = number(name);
  if (!(x >= 0 && x < 1)) reject("a number in [0, 1)", name, find(name), false);
  return x;
}

double RuleOptions::nonnegative(const std::string& name) const {
  const double x = number(name);
  if (!(x >= 0)) reject("a number ≥ 0", name, find(name), false);
  return x;
}

bool RuleOptions::flag(const std::string& name) const {
  const Value* value = find(name);
  const bool* flag = value ? std::get_if<bool>(value) : nullptr;
  if (!flag) reject("a boolean", name, value, true);
  return *flag;
}

std::shared_ptr<const Rule> make_rule(const std::string& name, const RuleOptions& options) {
#define CS_RULE(Class, its_name) \
  if (name == its_name) return std::make_shared<Class>(options);
  CS_FORMULAS(CS_RULE)
#undef CS_RULE
  if (name == "muon") return std::make_shared<Muon>(options);
  std::string names = "\"muon\"";
#define CS_RULE(Class, its_name) names += " or \"" + std::string(its_name) + '"';
  CS_FORMULAS(CS_RULE)
#undef CS_RULE
  reject_range("Expected " + names + " for the rule's name but received \"" + name.substr(0, 80) + "\"");
}

}  // namespace critical_sharpness::update
