#pragma once
#include <cstdint>
#include <optional>
#include <vector>

#include "parameter_view.hpp"

namespace critical_sharpness {

/// The residual stream of each part of a batch behind some segments, kept from one pass to the next: what a Δ leaves as it is need not
/// be computed again. It goes forward only, so that one stream a part serves a sweep over the layers from the first to the last.
class KeptStreams {
 public:
  /// What a stream belongs to.
  struct Key {
    at::Tensor inputs;  // the batch's, held so that no other takes its place
    uint64_t version = 0;
    at::ScalarType dtype = at::kFloat;
    int64_t micro_batch = 0;

    bool operator==(const Key& other) const {
      return inputs.is_same(other.inputs) && version == other.version && dtype == other.dtype && micro_batch == other.micro_batch;
    }
  };

  /// For passes that move nothing before the segment `start`: forgets what is of others, or lies behind it.
  void begin(const Key& key, size_t start);
  void clear() { *this = {}; }
  /// Segments that a part's stream is behind; 0: none is kept.
  size_t segments(size_t part) const { return part < streams_.size() ? streams_[part].segments : 0; }
  const at::Tensor& stream(size_t part) const { return streams_.at(part).stream; }
  void put(size_t part, size_t segments, at::Tensor stream);

 private:
  struct Kept {
    size_t segments = 0;
    at::Tensor stream;
  };
  std::optional<Key> key_;
  std::vector<Kept> streams_;
};

/// θ − ηΔ of a Δ that moves nothing before a segment: those before it are passed over where their stream is kept, and left behind for
/// the next pass where it is not. A pass over a network whose segments' outputs depend on their inputs alone.
class ResumedView final : public PerturbedView {
 public:
  /// @param start the first segment that Δ moves, ≥ 1; as many as there are: the head alone
  ResumedView(const std::vector<at::Tensor>& weights, const Direction& direction, double learning_rate, at::ScalarType compute_dtype,
              Scratch& scratch, KeptStreams& kept, size_t start)
      : PerturbedView(weights, direction, learning_rate, compute_dtype, scratch), kept_(kept), start_(start) {}

  void enter(size_t first, size_t parts) override;
  at::Tensor segment(const at::Tensor& x, const Segment& body) override;

 private:
  KeptStreams& kept_;
  size_t start_, first_ = 0, parts_ = 1, calls_ = 0;
};

}  // namespace critical_sharpness
