#pragma once
#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "batch.hpp"
#include "cancellation.hpp"
#include "in_place.hpp"
#include "micro_batches.hpp"
#include "network/network.hpp"
#include "parameter_vector.hpp"
#include "ranks/gathered_view.hpp"
#include "ranks/gradient_exchange.hpp"
#include "resumed_view.hpp"
#include "scratch.hpp"

namespace critical_sharpness {

enum class Initialization { gpt2, normal, pytorch, he, zeros };

/// A box of a tensor's numbers within a file, little-endian.
struct FilePiece {
  std::string path;
  int64_t byte_offset = 0;
  std::vector<int64_t> strides;  // in numbers, none negative
  std::vector<int64_t> start;    // where the box begins in the tensor
  std::vector<int64_t> shape;
};

/// A tensor within a file, little-endian and row-major; or in pieces, which have each of its numbers once.
struct FileTensor {
  std::string path;
  int64_t byte_offset = 0;
  at::ScalarType dtype = at::kFloat;
  std::vector<FilePiece> pieces;

  bool is_given() const { return !path.empty() || !pieces.empty(); }
};

enum class PerturbationMode { view, in_place };

/// θ − ηΔ in place of θ.
struct Perturbation {
  std::shared_ptr<const Direction> direction;
  double learning_rate = 0;
  PerturbationMode mode = PerturbationMode::view;
};

struct LossResult {
  double loss = 0;
  uint64_t version = 0;
};
/// Takes the gradient of a batch's mean loss, a parameter at a time.
struct GradientSink {
  /// Before the first parameter. What it throws ends the pass.
  std::function<void(double loss)> begin;
  /// Once for each trainable parameter, in any order, when its gradient is whole: contiguous, of the layout's dtype; undefined: zeros.
  std::function<void(size_t parameter, const at::Tensor& gradient)> take;
};
struct GradientResult {
  double loss = 0;
  uint64_t version = 0;
  std::shared_ptr<const ParameterVector> gradient;
};

/// A network with weights. Every member that computes is called on the compute thread only.
class Model {
 public:
  /// Weights in float32 or float64, computed with in the same or, from float32, in bfloat16; or weights in bfloat16,
  /// computed with in float32 or bfloat16. The vectors of bfloat16 weights (gradients, directions) are float32.
  /// Everything that is made of it lies on `device`, and is computed there; batches are copied there. `trainable`: of each
  /// parameter; empty: all are. `group`: the ranks that share it, each of which keeps a part of its matrices; its members that
  /// compute are then called on all of them, in one order, and give every rank the bits of one process.
  Model(std::unique_ptr<Network> network, at::ScalarType weight_dtype, at::ScalarType compute_dtype,
        at::Device device = at::kCPU, std::vector<bool> trainable = {}, std::shared_ptr<Group> group = nullptr);

  const Network& network() const { return *network_; }
  const std::shared_ptr<const Layout>& layout() const { return layout_; }
  at::ScalarType weight_dtype() const { return weight_dtype_; }
  at::ScalarType compute_dtype() const { return compute_dtype_; }
  at::Device device() const { return layout_->device; }
  /// Counts changes of the weights; a perturbed pass is none. May be read from any thread.
  uint64_t version() const { return version_.load(); }
  /// Bytes that the weights hold once they are filled. May be read from any thread.
  int64_t byte_length() const;

  /// One that is cancelled leaves the weights as they were.
  void initialize(Initialization scheme, uint64_t seed, const Cancellation& cancel = {});
  /// One entry for each parameter; one that is not given is drawn as `initialize` draws it. On the CPU weights of the model's dtype are
  /// mapped copy-on-write; others are converted. One that is cancelled leaves the weights as they were.
  void load(const std::vector<FileTensor>& tensors, Initialization scheme = Initialization::normal, uint64_t seed = 0,
            const Cancellation& cancel = {});
  const at::Tensor& parameter(size_t index) const;
  /// Bytes [offset, offset + length) of a weight, clipped at its end.
  std::vector<uint8_t> read_bytes(size_t index, int64_t offset, int64_t length) const;
  /// Bytes of one of the network's buffers, as read_bytes.
  std::vector<uint8_t> read_buffer(size_t index, int64_t offset, int64_t length) const;
  /// One pass, after which the network's buffers are what it wrote to them: as a training pass of PyTorch's leaves them.
  void move_buffers(const Batch& batch, const PassOptions& options);
  /// For optimizers: the weights to be written to, and the count of changes raised. Throws for bfloat16 ones.
  std::vector<at::Tensor>& weights_to_change();
  /// After a step that was cut short: no weights are better than half-changed ones.
  void lose_weights() { weights_.clear(); }

  /// Throws unless `batch` fits the network (kind, ids, sequence length, features).
  void check(const Batch& batch) const { network_->check(batch); }
  LossResult loss(const Batch& batch, const Perturbation* perturbation, const PassOptions& options);
  /// How many tokens have other experts at θ − ηΔ than at θ: two passes. None, where there are no mixtures.
  ExpertChanges expert_changes(const Batch& batch, const Direction& direction, double learning_rate, const PassOptions& options);
  GradientResult gradient(const Batch& batch, const PassOptions& options);
  /// The gradient, given away a parameter at a time: with one micro-batch it is never held whole.
  LossResult differentiate(const Batch& batch, const PassOptions& options, const GradientSink& sink);
  /// θ ← θ − ηΔ, with the bits that a loss at θ − ηΔ reads. `cancel` stops it before anything changes, `ending` at any moment: the
  /// model has no weights then.
  void step(const Direction& direction, double learning_rate, const Cancellation& cancel = {}, const Cancellation& ending = {});
  /// A copy of the weights that are not frozen.
  std::shared_ptr<const ParameterVector> copy_weights(const Cancellation& cancel = {}) const;
  /// Takes the weights that `copy_weights` gave, bit for bit; frozen ones stay. Stopped as `step`.
  void restore_weights(const ParameterVector& weights, const Cancellation& cancel = {}, const Cancellation& ending = {});
  /// For second derivatives: the weights as they are. Throws where they or what is computed with them are bfloat16.
  const std::vector<at::Tensor>& weights_to_differentiate() const;

 private:
  at::Tensor first_weight(size_t index, Initialization scheme, const at::Generator& generator, const Cancellation& cancel) const;
  /// The arithmetic of a pass, and its scratch.
  at::ScalarType dtype_of(const PassOptions& options) const;
  Scratch& scratch_of(const PassOptions& options);
  /// Calls body(view, cancel) for a pass over a batch's parts that are this rank's: of θ as `own` reads it, or θ − ηΔ.
  template <class Body>
  void through(ParameterView& own, const Direction* direction, double learning_rate, const PassOptions& options, const Body& body);
  /// What the ranks of a group must agree on.
  Call call_of(const char* name, const Batch& batch, const PassOptions& options, double learning_rate) const;
  /// The members of the same names, in the group's call.
  LossResult own_loss(const Batch& batch, const Perturbation* perturbation, const PassOptions& options);
  ExpertChanges own_expert_changes(const Batch& batch, const Direction& direction, double learning_rate, const PassOptions& options);
  LossResult own_differentiate(const Batch& batch, const PassOptions& options, const GradientSink& sink);
  double mean_loss(ParameterView& own, const Direction* direction, double learning_rate, const Batch& batch, const PassOptions& options);
  /// The first segment that a direction moves, where a pass along it may begin there: with the streams of those before it kept, which are
  /// no more than may be. None: it begins at the beginning.
  std::optional<size_t> segment_to_begin(const Direction& direction, const Batch& batch) const;
  void require_whole(const char* what) const;
  void require_weights() const;

  std::unique_ptr<Network> network_;
  std::shared_ptr<const Layout> layout_;
  at::ScalarType weight_dtype_, compute_dtype_;
  std::vector<at::Tensor> weights_;
  std::atomic<uint64_t> version_{0};
  Scratch scratch_;
  Scratch float32_scratch_;  // of passes in float32 of a model that computes in bfloat16
  InPlaceStorage in_place_;
  KeptStreams kept_;
};

/// `tensor` as a vector of `layout`, from files; entries that are not given are zeros.
std::shared_ptr<const ParameterVector> load_vector(std::shared_ptr<const Layout> layout,
                                                   const std::vector<FileTensor>& tensors, const Cancellation& cancel = {});
/// θ_a − θ_b.
std::shared_ptr<const ParameterVector> difference(const Model& a, const Model& b, const Cancellation& cancel = {});

}  // namespace critical_sharpness
