#pragma once
#include <memory>

#include "adamw.hpp"
#include "lion.hpp"
#include "sgd.hpp"

/// Every rule that is a formula, as X(its class, its name): loops and CUDA kernels are made for these, and rules by name.
#define CS_FORMULAS(X) \
  X(AdamW, "adamw")    \
  X(Lion, "lion")      \
  X(Sgd, "sgd")

namespace critical_sharpness::update {

/// Throws ERR_OUT_OF_RANGE for a name of none, and what is wrong with an option.
std::shared_ptr<const Rule> make_rule(const std::string& name, const RuleOptions& options);

}  // namespace critical_sharpness::update
