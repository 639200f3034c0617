#pragma once
#include <ATen/core/Tensor.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <tuple>
#include <vector>

#include "activation.hpp"
#include "attention.hpp"
#include "balance.hpp"
#include "direction.hpp"
#include "experts.hpp"
#include "norm.hpp"
#include "scratch.hpp"

namespace critical_sharpness {

/// Of a linear layer's weight.
enum class WeightStorage { out_in, in_out };

/// A linear layer as a view reads it: x ↦ x·W + b. Where the weights are themselves bfloat16 and are multiplied so, the
/// products leave bfloat16 at once (`wide`): what is added to them, the bias and the step, is added in float32.
struct Linear {
  at::Tensor weight;  // [in, out]
  at::Tensor bias;    // undefined: none
  bool wide = false;
  at::Tensor step;    // −ηΔ of W, a product of its own: θ − ηΔ rounded to bfloat16 would often be θ. Undefined: none
  /// −ηΔ of W as a product of two thin matrices, downᵀ·up of [rank, in] and [rank, out]. Undefined: none. Unless `wide`, the
  /// last row of `up` may be the bias, with one row more than `down`.
  at::Tensor down, up;

  at::Tensor operator()(const at::Tensor& x) const;
};

/// Adds −ηΔ of a low-rank Δ to a linear layer: of the weight as it is stored.
void add_low_rank_step(Linear& map, const kernels::LowRank& factors, double learning_rate, WeightStorage storage);
/// The same of rows [… , width] that an embedding picked.
void add_low_rank_rows(const at::Tensor& rows, const at::Tensor& ids, const kernels::LowRank& factors, double learning_rate);

/// How a forward pass reads parameters: the one place where θ may become θ − ηΔ. Layers name parameters by their
/// index in the layout. Activations are rows: [tokens or examples, features].
class ParameterView {
 public:
  /// `weight_dtype`: of the weights as they are stored.
  ParameterView(at::ScalarType weight_dtype, at::ScalarType compute_dtype)
      : compute_dtype_(compute_dtype), wide_(weight_dtype == at::kBFloat16 && compute_dtype == at::kBFloat16) {}
  virtual ~ParameterView() = default;

  at::ScalarType compute_dtype() const { return compute_dtype_; }
  /// Whether linear layers give float32 though they multiply in bfloat16.
  bool wide() const { return wide_; }

  /// The whole parameter in `dtype`.
  virtual at::Tensor value(size_t index, at::ScalarType dtype) = 0;
  /// Its rows at `ids` (any shape), in the parameter's own dtype or, if that is bfloat16, in float32.
  virtual at::Tensor embedding(const at::Tensor& ids, size_t weight) = 0;
  /// The same, where the row of one id is a constant to derivatives: torch.nn.Embedding's padding_idx. −1: none.
  virtual at::Tensor embedding_but(int64_t /*padding*/, const at::Tensor& ids, size_t weight) { return embedding(ids, weight); }

  /// Whether a weight is stored [out, in] (PyTorch's Linear) or [in, out] (GPT-2's Conv1D).
  using Storage = WeightStorage;
  virtual Linear open_linear(size_t weight, std::optional<size_t> bias, Storage storage = Storage::out_in);
  /// x·Wᵀ + b in the compute dtype.
  virtual at::Tensor linear(const at::Tensor& x, size_t weight, std::optional<size_t> bias, Storage storage = Storage::out_in);
  /// Over the last axis of x, in float32 or wider, then rounded to the compute dtype.
  virtual at::Tensor norm(const at::Tensor& x, const Norm& norm);
  /// Rows [tokens, width] of token ids [batch, length]: tokens[id] (+ positions[place in the sequence]). `padding`: the id whose
  /// row is a constant to derivatives, or −1.
  virtual at::Tensor embed(const at::Tensor& ids, size_t tokens, std::optional<size_t> positions, int64_t padding);
  virtual at::Tensor activation(const at::Tensor& x, Activation kind) { return activate(x, kind); }
  /// f(g)·x
  virtual at::Tensor gate(const at::Tensor& g, const at::Tensor& x, Activation kind);
  /// x within ±bound.
  virtual at::Tensor clamp(const at::Tensor& x, double bound);
  /// Self-attention within sequences: rows [batch·length, heads·size] of queries [batch, length, heads, size], keys and
  /// values [batch, length, as many heads or a divisor of them, size].
  virtual at::Tensor attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Attention& how);

  /// A mixture's choice of experts and their weights, from its router's logits [tokens, experts].
  virtual Routing route(const at::Tensor& logits, const Router& router);
  /// Rows [tokens, width]: each token's weighted sum of its experts' rows, which are sorted as `dispatch` has them.
  virtual at::Tensor combine(const at::Tensor& weights, const at::Tensor& rows, const Dispatch& dispatch);

  /// A router's logits, which go into the auxiliary loss.
  virtual at::Tensor balanced(const at::Tensor& logits, const Router& router, size_t layer, const std::shared_ptr<Balance>& balance) {
    return critical_sharpness::balanced(logits, router, layer, balance);
  }
  /// What the features of a micro-batch leave for its head, which reads through the same view or that one's plain one: by the
  /// micro-batch's inputs.
  virtual void leave(const at::Tensor& inputs, std::shared_ptr<Balance> balance) { left_[inputs.unsafeGetTensorImpl()] = std::move(balance); }
  std::shared_ptr<Balance> take(const at::Tensor& inputs) {
    const auto node = left_.extract(inputs.unsafeGetTensorImpl());
    return node ? node.mapped() : nullptr;
  }

  /// Every choice of a plain or perturbed pass is put there too, in its order. Null: nowhere.
  void put_choices(std::vector<at::Tensor>* into) { choices_ = into; }

  /// Before a pass over some of a batch's parts: which is the first, and how many.
  virtual void enter(size_t /*first*/, size_t /*parts*/) {}

  /// A part of a pass, as a function of the view that it reads and of its input alone. It may be computed more than once. What
  /// it reads, no other part reads.
  using Segment = std::function<at::Tensor(ParameterView&, const at::Tensor&)>;
  virtual at::Tensor segment(const at::Tensor& x, const Segment& body) { return body(*this, x); }

  /// While one lives, what is made of parameters is kept and read again: for inputs that take turns in the same layer. It costs
  /// the memory of what the layer reads, and saves making it anew for each of them.
  class Shared {
   public:
    /// Without effect for fewer than two inputs.
    Shared(ParameterView& view, size_t inputs) : view_(inputs > 1 ? &view : nullptr) {
      if (view_) view_->share(true);
    }
    ~Shared() {
      if (view_) view_->share(false);
    }
    Shared(const Shared&) = delete;
    Shared& operator=(const Shared&) = delete;

   private:
    ParameterView* view_;
  };

 protected:
  virtual void share(bool) {}
  static at::Tensor oriented(const at::Tensor& weight, Storage storage) {
    return storage == Storage::out_in ? weight.t() : weight;
  }

 private:
  at::ScalarType compute_dtype_;
  bool wide_;
  std::vector<at::Tensor>* choices_ = nullptr;
  std::map<const void*, std::shared_ptr<Balance>> left_;
};

/// Weights as they are stored, and what is made of them in scratch.
class ScratchView : public ParameterView {
 public:
  ScratchView(const std::vector<at::Tensor>& weights, at::ScalarType compute_dtype, Scratch& scratch)
      : ParameterView(weights.front().scalar_type(), compute_dtype), weights_(weights), scratch_(scratch) {}

 protected:
  void share(bool on) override;
  /// What `fill` makes of a parameter in a tensor of its shape: the weight itself, or a bfloat16 step.
  enum class What { weight, step };
  template <class Fill>
  at::Tensor made(size_t index, at::ScalarType dtype, What what, const Fill& fill);
  const at::Tensor& weight(size_t index) const { return weights_[index]; }

 private:
  const std::vector<at::Tensor>& weights_;
  Scratch& scratch_;
  bool shares_ = false;
  std::map<std::tuple<size_t, at::ScalarType, What>, at::Tensor> shared_;
};

/// θ as it is stored.
class PlainView : public ScratchView {
 public:
  using ScratchView::ScratchView;
  at::Tensor value(size_t index, at::ScalarType dtype) override;
  at::Tensor embedding(const at::Tensor& ids, size_t weight) override;
};

/// θ − ηΔ, made in scratch for one use at a time; an embedding perturbs only the rows that it gathers, and a low-rank Δ of a
/// linear layer is applied to what the layer reads.
class PerturbedView : public ScratchView {
 public:
  PerturbedView(const std::vector<at::Tensor>& weights, const Direction& direction, double learning_rate,
                at::ScalarType compute_dtype, Scratch& scratch)
      : ScratchView(weights, compute_dtype, scratch), direction_(direction), learning_rate_(learning_rate) {}
  at::Tensor value(size_t index, at::ScalarType dtype) override;
  at::Tensor embedding(const at::Tensor& ids, size_t weight) override;
  Linear open_linear(size_t weight, std::optional<size_t> bias, Storage storage) override;

 private:
  const Direction& direction_;
  double learning_rate_;
};

/// Weights that autograd differentiates with respect to, each through its leaf: the weight itself or, where gradients have
/// another dtype than it, a stand-in of theirs. A leaf that needs no gradient is a constant. `recompute`: a segment keeps its input alone, and is computed again
/// on the way back (Chen et al. 2016); the first time through `plain`.
class DifferentiableView : public ParameterView {
 public:
  DifferentiableView(const std::vector<at::Tensor>& weights, const std::vector<at::Tensor>& leaves,
                     at::ScalarType compute_dtype, PlainView& plain, bool recompute)
      : ParameterView(weights.front().scalar_type(), compute_dtype),
        weights_(weights),
        leaves_(leaves),
        plain_(plain),
        recompute_(recompute) {}
  at::Tensor value(size_t index, at::ScalarType dtype) override;
  at::Tensor embedding(const at::Tensor& ids, size_t weight) override { return embedding_but(-1, ids, weight); }
  at::Tensor embedding_but(int64_t padding, const at::Tensor& ids, size_t weight) override;
  at::Tensor segment(const at::Tensor& x, const Segment& body) override;
  void leave(const at::Tensor& inputs, std::shared_ptr<Balance> balance) override { plain_.leave(inputs, std::move(balance)); }

 private:
  bool is_leaf(size_t index) const { return weights_[index].scalar_type() == leaves_[index].scalar_type(); }

  const std::vector<at::Tensor>& weights_;
  const std::vector<at::Tensor>& leaves_;
  PlainView& plain_;
  bool recompute_;
};

/// A leaf for each weight, whose gradients have the dtype of vectors: the weights' own, float32 for bfloat16 ones. Those of
/// frozen parameters need none.
std::vector<at::Tensor> differentiable_leaves(const std::vector<at::Tensor>& weights, const Layout& layout);

}  // namespace critical_sharpness
