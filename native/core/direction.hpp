#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "cancellation.hpp"
#include "kernels/delta.hpp"
#include "layout.hpp"

namespace critical_sharpness {

class ParameterVector;

/// A direction Δ in the space of a model's parameters: stored (ParameterVector), or made where it is used.
class Direction {
 public:
  virtual ~Direction() = default;

  virtual const std::shared_ptr<const Layout>& layout() const = 0;
  /// False: the parameter's part is zero throughout.
  virtual bool has(size_t parameter) const = 0;
  /// A parameter's part, for kernels.
  virtual kernels::Delta delta(size_t parameter) const = 0;
  /// Throws ERR_STALE_DIRECTION where what it is made of is no longer what it was. Each job that uses it asks first.
  virtual void require_current() const {}
  /// Itself, where its numbers are stored; null: they are made.
  virtual const ParameterVector* as_stored() const { return nullptr; }
  /// Its part in the kept parameters, and zeros in the others.
  virtual std::shared_ptr<const Direction> masked(const std::vector<bool>& keep) const = 0;
  /// Memory of its own.
  virtual int64_t byte_length() const = 0;

  /// Σ aᵢbᵢ in float64; the order of summation does not depend on the number of threads.
  double dot(const Direction& other, const Cancellation& cancel = {}) const;
  double norm(const Cancellation& cancel = {}) const;
};

/// One whose parts are given: numbers, factors, or nothing, for zeros.
std::shared_ptr<const Direction> assembled_direction(std::shared_ptr<const Layout> layout, std::vector<kernels::Delta> parts);

/// The numbers of a direction, written out.
ParameterVector store(const Direction& direction, const Cancellation& cancel = {});
/// The stored one that it is. Throws ERR_DIRECTION_NOT_STORED, with `what` as its subject.
const ParameterVector& require_stored(const Direction& direction, const char* what);

/// Bytes [offset, offset + length) of a parameter's numbers, clipped at its end.
std::vector<uint8_t> read_bytes(const Direction& direction, size_t parameter, int64_t offset, int64_t length);

}  // namespace critical_sharpness
