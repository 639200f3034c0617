#include "muon.hpp"

#include <ATen/ops/addmm.h>
#include <ATen/ops/lerp.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cmath>

#include "errors.hpp"
#include "sgd.hpp"
#include "stretches.hpp"

namespace critical_sharpness::update {
namespace {

at::ScalarType iteration_dtype(double bits) {
  if (bits == 16) return at::kBFloat16;
  if (bits == 32) return at::kFloat;
  if (bits == 64) return at::kDouble;
  reject_range("Expected 16, 32 or 64 for options.iterationBits but received " + std::to_string(bits));
}

int64_t iterations(double count) {
  if (count >= 0 && count < 100 && count == std::floor(count)) return static_cast<int64_t>(count);
  reject_range("Expected an integer in [0, 100) for options.iterations but received " + std::to_string(count));
}

/// ρ, by the shape that the weight is stored in.
double adjusted_ratio(const MuonOptions& options, const at::Tensor& weight) {
  const auto rows = static_cast<double>(weight.size(0)), columns = static_cast<double>(weight.size(1));
  return options.match_rms_adamw ? 0.2 * std::sqrt(std::max(rows, columns)) : std::sqrt(std::max(1.0, rows / columns));
}

}  // namespace

at::Tensor orthogonalized(const at::Tensor& matrix, const MuonOptions& options, const Cancellation& cancel) {
  const bool tall = matrix.size(0) > matrix.size(1);
  at::Tensor x = matrix.to(options.iteration_dtype, /*non_blocking=*/false, /*copy=*/true);
  if (tall) x = x.t();
  x.div_(at::linalg_vector_norm(x, 2).clamp_min(options.epsilon));
  for (int64_t i = 0; i < options.iterations; i++) {
    cancel.check();
    const at::Tensor gram = at::matmul(x, x.t());
    x = at::addmm(x, at::addmm(gram, gram, gram, options.b, options.c), x, options.a);
  }
  return tall ? x.t() : x;
}

Muon::Muon(const RuleOptions& o)
    : Muon({o.fraction("momentum"), o.flag("nesterov"), o.number("a"), o.number("b"), o.number("c"), o.nonnegative("epsilon"),
            update::iterations(o.number("iterations")), update::iteration_dtype(o.number("iterationBits")),
            o.flag("matchRmsAdamW")}) {}

std::vector<Role> Muon::roles() const {
  std::vector<Role> all{{"momentum_buffer"}};
  if (options_.nesterov) all.push_back({"gradient", true});
  return all;
}

void Muon::accumulate(const std::vector<State>& states, const std::vector<at::Tensor>& gradients,
                      const Cancellation& cancel) const {
  for (size_t i = 0; i < states.size(); i++) {
    const at::Tensor& buffer = states[i][0];
    in_stretches(buffer.numel(), cancel, [&](int64_t start, int64_t length) {
      at::Tensor part = stretch(buffer, start, length);
      part.lerp_(gradients[i].defined() ? stretch(gradients[i], start, length) : at::zeros_like(part), 1 - options_.momentum);
    });
  }
}

kernels::Delta Muon::delta(const State& state, const at::Tensor& weight, int64_t, const Group& group) const {
  if (weight.dim() != 2)
    reject_range("Expected a matrix for a parameter that Muon moves but received one of " + std::to_string(weight.dim()) + " axes");
  const at::Tensor buffer = state[0], gradient = options_.nesterov ? state[1] : at::Tensor();
  const auto make = [=, options = options_](const Cancellation& cancel) {
    at::Tensor update = buffer;
    if (options.nesterov) update = at::lerp(gradient.defined() ? gradient : at::zeros_like(buffer), buffer, options.momentum);
    const at::Tensor direction = orthogonalized(update, options, cancel).to(buffer.scalar_type()).contiguous();
    return kernels::FormulaDelta{&kernels::formula<Sgd>(), weight, direction, at::Tensor(), {adjusted_ratio(options, weight), 0},
                                 group.learning_rate_ratio, group.weight_decay};
  };
  return kernels::WholeDelta{weight, make};
}

void Muon::write_metric(const std::vector<at::Tensor>&, const std::vector<State>&, int64_t, const std::vector<Group>&,
                        const Cancellation&) const {
  TORCH_INTERNAL_ASSERT(false, "Muon has no P");
}

}  // namespace critical_sharpness::update
