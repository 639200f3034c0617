#include "resumed_view.hpp"

#include <algorithm>
#include <utility>

namespace critical_sharpness {

void KeptStreams::begin(const Key& key, size_t start) {
  const bool is_behind = std::ranges::any_of(streams_, [start](const Kept& kept) { return kept.segments > start; });
  if (key_ && *key_ == key && !is_behind) return;
  clear();
  key_ = key;
}

void KeptStreams::put(size_t part, size_t segments, at::Tensor stream) {
  if (streams_.size() <= part) streams_.resize(part + 1);
  streams_[part] = {segments, std::move(stream)};
}

void ResumedView::enter(size_t first, size_t parts) {
  first_ = first;
  parts_ = parts;
  calls_ = 0;
}

at::Tensor ResumedView::segment(const at::Tensor& x, const Segment& body) {
  // Every part goes through a segment before the first goes through the next.
  const size_t behind = calls_ / parts_ + 1, part = first_ + calls_ % parts_;
  calls_++;
  const size_t kept = kept_.segments(part);
  if (behind < kept) return x;
  // A layer adds to its input in place.
  if (behind == kept) return kept_.stream(part).clone();
  at::Tensor out = body(*this, x);
  if (behind == start_) kept_.put(part, behind, out.clone());
  return out;
}

}  // namespace critical_sharpness
