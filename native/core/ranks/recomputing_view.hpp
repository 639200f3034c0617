#pragma once
#include <functional>

#include "network/network.hpp"
#include "ranks/gathered_view.hpp"

namespace critical_sharpness {

/// Which parts of a pass have parameters to differentiate by: the embedding is part 0, the head the last.
struct Parts {
  std::vector<std::vector<size_t>> parameters;
  size_t first_trainable;  // as many as there are, where none is

  Parts(const Network& network, const Layout& layout);
  size_t head() const { return parameters.size() - 1; }
  /// The first segment that is gone through on the way back.
  size_t first_segment() const { return std::max<size_t>(first_trainable, 1); }
};

/// Parameters as a gradient over ranks reads them. A segment keeps its input alone, and is computed again on the way back with
/// weights that are gathered again: no gathered weight outlives its block.
class RecomputingView final : public ParameterView {
 public:
  struct Sources {
    GatheredView& gathered;
    DifferentiableView& own;  // of what every rank keeps
    GatherPass& pass;
    std::vector<at::Tensor>& leaves;
  };
  /// `add(parameter, gradient)`; `back(segment)`, when leaves[…].grad() of its matrices are whole.
  RecomputingView(at::ScalarType weight_dtype, const Layout& layout, const Parts& parts, const Sources& sources,
                std::function<void(size_t, const at::Tensor&)> add, std::function<void(size_t)> back);

  at::Tensor value(size_t index, at::ScalarType dtype) override;
  at::Tensor embedding(const at::Tensor& ids, size_t weight) override;
  at::Tensor embedding_but(int64_t padding, const at::Tensor& ids, size_t weight) override;
  void leave(const at::Tensor& inputs, std::shared_ptr<Balance> balance) override;
  at::Tensor embed(const at::Tensor& ids, size_t tokens, std::optional<size_t> positions, int64_t padding) override;
  at::Tensor segment(const at::Tensor& x, const Segment& body) override;

 private:
  const Layout& layout_;
  const Parts& parts_;
  Sources from_;
  std::function<void(size_t, const at::Tensor&)> add_;
  std::function<void(size_t)> back_;
  at::Tensor start_;  // what a graph begins with, where nothing before needs a gradient
  size_t segments_ = 0;
};

}  // namespace critical_sharpness
