#include "in_place.hpp"

#include <ATen/ops/empty.h>

#include <cmath>
#include <limits>
#include <stdexcept>

#include "check.hpp"
#include "support.hpp"

using namespace critical_sharpness;
using namespace critical_sharpness::test;

namespace {

template <class T>
struct Pattern;
template <>
struct Pattern<float> {
  using type = uint32_t;
  static constexpr at::ScalarType dtype = at::kFloat;
};
template <>
struct Pattern<double> {
  using type = uint64_t;
  static constexpr at::ScalarType dtype = at::kDouble;
};

/// Zeros, subnormals, the ends of the range, infinities, quiet and signalling NaNs with payloads, all with both signs.
template <class T>
std::vector<T> special_values() {
  using Limits = std::numeric_limits<T>;
  using Bits = typename Pattern<T>::type;
  const Bits infinity = bit_cast<Bits>(Limits::infinity()), quiet = bit_cast<Bits>(Limits::quiet_NaN());
  std::vector<T> values{0,
                        1,
                        std::nextafter(T{1}, T{2}),
                        T{1} / 3,
                        1024,
                        Limits::denorm_min(),
                        3 * Limits::denorm_min(),
                        std::nextafter(Limits::min(), T{0}),
                        Limits::min(),
                        std::nextafter(Limits::max(), T{0}),
                        Limits::max(),
                        Limits::infinity(),
                        bit_cast<T>(quiet),
                        bit_cast<T>(static_cast<Bits>(quiet | 0x12345)),
                        bit_cast<T>(static_cast<Bits>(infinity | 1)),
                        bit_cast<T>(static_cast<Bits>(infinity | 0x2bcde))};
  const size_t positive = values.size();
  for (size_t i = 0; i < positive; i++)
    values.push_back(bit_cast<T>(static_cast<Bits>(bit_cast<Bits>(values[i]) | Bits{1} << (8 * sizeof(T) - 1))));
  return values;
}

/// θ and Δ, and what comes of them.
struct Line {
  std::vector<at::Tensor> weights;
  std::shared_ptr<const ParameterVector> direction;
  std::vector<at::Tensor> before;

  Line(std::vector<at::Tensor> w, const std::vector<at::Tensor>& d) : weights(std::move(w)) {
    std::vector<std::vector<int64_t>> shapes;
    for (const auto& weight : weights) {
      shapes.push_back(weight.sizes().vec());
      before.push_back(weight.clone());
    }
    direction = std::make_shared<ParameterVector>(layout_of(shapes, weights[0].scalar_type()), d);
  }
  bool whole() const {
    for (size_t i = 0; i < weights.size(); i++)
      if (!same_bits(weights[i], before[i])) return false;
    return true;
  }
  template <class T>
  bool moved(double learning_rate) const {
    const T eta = static_cast<T>(learning_rate);
    for (size_t i = 0; i < weights.size(); i++) {
      const at::Tensor& delta = (*direction)[i];
      at::Tensor expected = before[i].clone();
      for (int64_t k = 0; delta.defined() && k < delta.numel(); k++) {
        const T step = eta * delta.const_data_ptr<T>()[k];
        expected.mutable_data_ptr<T>()[k] = before[i].const_data_ptr<T>()[k] - step;
      }
      if (!same_values(weights[i], expected)) return false;
    }
    return true;
  }
};

/// θ − ηΔ while it lives, every bit back afterwards, with a storage that other passes have used.
template <class T>
void check_line(Line line, const std::vector<double>& learning_rates, InPlaceStorage& storage) {
  for (const double learning_rate : learning_rates) {
    {
      const InPlacePerturbation perturbed(line.weights, *line.direction, learning_rate, storage);
      CHECK(line.moved<T>(learning_rate));
    }
    CHECK(line.whole());
  }
}

const std::vector<double> ordinary{0.0, 1e-6, 1e-3, 0.1, 1.0, -0.7};
const std::vector<double> extreme{1.0, -1.0, 1e-40, 1e-30, 1e10, 1e30, -1e38, 1e300, 5e-324};

template <class T>
void check_special_values() {
  // Every pair of them.
  std::vector<T> w, d;
  for (const T x : special_values<T>())
    for (const T y : special_values<T>()) {
      w.push_back(x);
      d.push_back(y);
    }
  InPlaceStorage storage;
  check_line<T>({{tensor_of(w)}, {tensor_of(d)}}, extreme, storage);
  check_line<T>({{tensor_of(w)}, {tensor_of(d)}}, ordinary, storage);
}

template <class T>
void check_random_bits() {
  Numbers numbers(1);
  InPlaceStorage storage;
  std::vector<T> w(50'001), d(50'001);
  for (size_t i = 0; i < w.size(); i++) {
    w[i] = bit_cast<T>(static_cast<typename Pattern<T>::type>(numbers.bits()));
    d[i] = bit_cast<T>(static_cast<typename Pattern<T>::type>(numbers.bits()));
  }
  check_line<T>({{tensor_of(w)}, {tensor_of(d)}}, extreme, storage);
}

size_t bytes_of(const InPlaceStorage& storage) {
  size_t bytes = storage.distance.capacity() + storage.far.capacity() * sizeof(storage.far[0]);
  for (const auto& far : storage.far) bytes += far.capacity() * sizeof(far[0]);
  return bytes;
}

}  // namespace

TEST("in place: ordinary weights come back bit for bit, over chunks and parameters") {
  InPlaceStorage storage;
  for (const auto dtype : {at::kFloat, at::kDouble}) {
    const Line line({random_tensor({311, 129}, dtype, 1, 0.02), random_tensor({3}, dtype, 2), random_tensor({16384}, dtype, 3, 1e-4)},
                    {random_tensor({311, 129}, dtype, 4), random_tensor({3}, dtype, 5), random_tensor({16384}, dtype, 6)});
    if (dtype == at::kFloat) check_line<float>(line, ordinary, storage);
    else check_line<double>(line, ordinary, storage);
  }
}

TEST("in place: zeros, subnormals, infinities and NaN payloads come back, in float32") { check_special_values<float>(); }
TEST("in place: zeros, subnormals, infinities and NaN payloads come back, in float64") { check_special_values<double>(); }
TEST("in place: random bit patterns come back, in float32") { check_random_bits<float>(); }
TEST("in place: random bit patterns come back, in float64") { check_random_bits<double>(); }

TEST("in place: steps far larger than the weights lose nothing") {
  InPlaceStorage storage;
  for (const double scale : {1e-8, 1e-20, 1e-38}) {
    check_line<float>({{random_tensor({40'000}, at::kFloat, 7, scale)}, {random_tensor({40'000}, at::kFloat, 8, 1e3)}}, ordinary, storage);
    check_line<double>({{random_tensor({40'000}, at::kDouble, 7, scale)}, {random_tensor({40'000}, at::kDouble, 8, 1e3)}}, ordinary, storage);
  }
}

TEST("in place: a parameter without Δ is not touched") {
  InPlaceStorage storage;
  check_line<float>({{random_tensor({9}, at::kFloat, 9), random_tensor({5}, at::kFloat, 10)}, {at::Tensor(), random_tensor({5}, at::kFloat, 11)}},
                    ordinary, storage);
  check_line<float>({{random_tensor({9}, at::kFloat, 9)}, {at::Tensor()}}, ordinary, storage);
}

TEST("in place: an exception in the middle of the pass puts every bit back") {
  InPlaceStorage storage;
  Line line({random_tensor({50'000}, at::kFloat, 12)}, {random_tensor({50'000}, at::kFloat, 13, 1e6)});
  bool thrown = false;
  try {
    const InPlacePerturbation perturbed(line.weights, *line.direction, 0.5, storage);
    CHECK(!line.whole());
    throw std::runtime_error("a pass that fails");
  } catch (const std::runtime_error&) {
    thrown = true;
  }
  CHECK(thrown && line.whole());
}

TEST("in place: an exception while it is made puts back what was moved already") {
  InPlaceStorage storage;
  // The second parameter's Δ has a dtype that no kernel reads: the first one's chunks may have moved by then.
  Line line({random_tensor({100'000}, at::kFloat, 14), random_tensor({4}, at::kFloat, 15)},
            {random_tensor({100'000}, at::kFloat, 16), random_tensor({4}, at::kHalf, 17)});
  CHECK_THROWS(InPlacePerturbation(line.weights, *line.direction, 0.5, storage));
  CHECK(line.whole());
}

TEST("in place: a step far too long leaves no more behind than an ordinary one") {
  constexpr size_t n = 1 << 18;
  InPlaceStorage storage;
  Line line({random_tensor({n}, at::kFloat, 20, 0.02)}, {random_tensor({n}, at::kFloat, 21)});
  {
    const InPlacePerturbation perturbed(line.weights, *line.direction, 1e9, storage);
    CHECK(bytes_of(storage) > 8 * n);  // every weight is far
  }
  CHECK(bytes_of(storage) <= n + n / 20);
  CHECK(line.whole());
}

TEST("in place: ordinary values cost about one byte each") {
  constexpr size_t n = 1 << 20;
  for (const auto dtype : {at::kFloat, at::kDouble}) {
    InPlaceStorage storage;
    // Initial weights of a GPT and an Adam-sized Δ, at learning rates around a critical one.
    Line line({random_tensor({n}, dtype, 18, 0.02)}, {random_tensor({n}, dtype, 19)});
    for (const double learning_rate : {1e-4, 1e-3, 1e-2}) {
      const InPlacePerturbation perturbed(line.weights, *line.direction, learning_rate, storage);
    }
    CHECK(bytes_of(storage) <= n + n / 20);
    CHECK(line.whole());
  }
}
