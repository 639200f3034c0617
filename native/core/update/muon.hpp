#pragma once
#include "rule.hpp"

namespace critical_sharpness::update {

struct MuonOptions {
  double momentum = 0.95;
  bool nesterov = true;
  /// a, b, c of the iteration X ← aX + (bA + cA²)X with A = XXᵀ.
  double a = 3.4445, b = -4.775, c = 2.0315;
  double epsilon = 1e-7;
  int64_t iterations = 5;
  at::ScalarType iteration_dtype = at::kBFloat16;
  /// ρ = 0.2·√max(rows, columns) (Liu et al. 2025), so that Δ is as long as AdamW's; else √max(1, rows/columns) (Jordan 2024).
  bool match_rms_adamw = false;
};

/// X ≈ UVᵀ for M = USVᵀ, a matrix of two axes, by Newton–Schulz iterations of X₀ = M/max(‖M‖, ε) with the shorter axis first
/// (Jordan 2024; Bernstein & Newhouse 2024). In the iterations' dtype throughout, norm and division included, with the operations
/// that PyTorch 2.13 takes in its order. It looks at `cancel` between iterations.
at::Tensor orthogonalized(const at::Tensor& matrix, const MuonOptions& options, const Cancellation& cancel);

/// Muon for matrices, as torch.optim.Muon of PyTorch 2.13: B ← μB + (1−μ)g, Δ = ρ·orthogonalized(B) + γθ, with Nesterov's
/// (1−μ)g + μB in place of B. What is orthogonalised depends on every number of the parameter's state, so Δ is made whole.
class Muon final : public Rule {
 public:
  explicit Muon(MuonOptions options) : options_(options) {}
  explicit Muon(const RuleOptions& o);

  std::vector<Role> roles() const override;
  void accumulate(const std::vector<State>& states, const std::vector<at::Tensor>& gradients,
                  const Cancellation& cancel) const override;
  kernels::Delta delta(const State& state, const at::Tensor& weight, int64_t steps, const Group& group) const override;
  bool is_elementwise() const override { return false; }
  bool has_metric() const override { return false; }
  void write_metric(const std::vector<at::Tensor>&, const std::vector<State>&, int64_t, const std::vector<Group>&,
                    const Cancellation&) const override;

 private:
  MuonOptions options_;
};

}  // namespace critical_sharpness::update
