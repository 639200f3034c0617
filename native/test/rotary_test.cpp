#include "rotary.hpp"

#include <ATen/TensorOperators.h>

#include <cmath>
#include <complex>

#include "check.hpp"
#include "support.hpp"

using namespace critical_sharpness;
using namespace critical_sharpness::test;

TEST("rotary: pairs of channels turn by place times frequency, the others stay, whatever the strides") {
  const std::vector<double> frequencies{1, 0.25, 0.01};
  for (const int64_t size : {6, 9})
    for (const auto& [dtype, tolerance] : {std::pair{at::kDouble, 1e-15}, {at::kFloat, 3e-7}, {at::kBFloat16, 1e-2}}) {
      const RotaryTable table = rotary_table(frequencies, 1.5, 7, dtype == at::kDouble ? at::kDouble : at::kFloat);
      // Queries within rows that hold keys and values too.
      const at::Tensor x = random_tensor({2, 7, 3, 3, size}, dtype, 1).unbind(3)[1];
      const auto in = doubles_of(x), out = doubles_of(rotate(x, table));
      for (size_t row = 0; row < 2 * 7 * 3; row++) {
        const double place = static_cast<double>(row / 3 % 7);
        const size_t at = row * static_cast<size_t>(size);
        for (size_t i = 0; i < 3; i++) {
          const auto turned = std::complex(in[at + i], in[at + i + 3]) * std::polar(1.5, place * frequencies[i]);
          CHECK_CLOSE(out[at + i], turned.real(), 2 * tolerance);
          CHECK_CLOSE(out[at + i + 3], turned.imag(), 2 * tolerance);
        }
        for (size_t i = 6; i < static_cast<size_t>(size); i++) CHECK_CLOSE(out[at + i], in[at + i], 0);
      }
    }
}

TEST("rotary: the way back is the transpose, and nothing turns without frequencies") {
  const RotaryTable table = rotary_table({1, 0.3}, 0.7, 5, at::kDouble);
  at::Tensor x = random_tensor({2, 5, 2, 5}, at::kDouble, 2).requires_grad_(true);
  const at::Tensor g = random_tensor({2, 5, 2, 5}, at::kDouble, 3), y = random_tensor({2, 5, 2, 5}, at::kDouble, 4);
  (rotate(x, table) * g).sum().backward();
  CHECK_CLOSE((rotate(y, table) * g).sum().item<double>(), (y * x.grad()).sum().item<double>(), 1e-13);
  CHECK(rotate(y, rotary_table({}, 1, 5, at::kDouble)).is_same(y));
}
