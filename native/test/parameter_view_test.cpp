#include "parameter_view.hpp"

#include <ATen/ops/empty.h>
#include <c10/util/BFloat16.h>

#include <limits>

#include "check.hpp"
#include "support.hpp"

using namespace critical_sharpness;
using namespace critical_sharpness::test;

namespace {

Scratch roomy() { return Scratch(1 << 21, 1 << 10); }

/// One or more chunks of the kernels, and ends that fill no vector register.
const std::vector<std::vector<int64_t>> shapes{{1}, {7}, {16384 + 5}, {129, 311}};

/// θ − ηΔ with one rounding for the product and one for the difference.
template <class T>
at::Tensor moved(const at::Tensor& weight, const at::Tensor& delta, double learning_rate) {
  at::Tensor out = at::empty(weight.sizes(), weight.scalar_type());
  const T *w = weight.const_data_ptr<T>(), *d = delta.const_data_ptr<T>(), eta = static_cast<T>(learning_rate);
  for (int64_t i = 0; i < out.numel(); i++) {
    const T step = eta * d[i];
    out.mutable_data_ptr<T>()[i] = w[i] - step;
  }
  return out;
}

/// Float bit patterns around every rounding decision: each upper half with lower halves below, at and above a tie.
std::vector<float> rounding_cases() {
  std::vector<float> values;
  for (uint32_t upper = 0; upper < 1u << 16; upper++)
    for (const uint32_t lower : {0x0000u, 0x0001u, 0x7fffu, 0x8000u, 0x8001u, 0xffffu})
      values.push_back(bit_cast<float>(upper << 16 | lower));
  Numbers numbers(1);
  for (int i = 0; i < 50'000; i++) values.push_back(bit_cast<float>(static_cast<uint32_t>(numbers.bits())));
  return values;
}

bool rounds_as_c10(const at::Tensor& rounded, const at::Tensor& exact) {
  const auto* r = reinterpret_cast<const uint16_t*>(rounded.const_data_ptr<at::BFloat16>());
  const auto* x = exact.const_data_ptr<float>();
  for (int64_t i = 0; i < exact.numel(); i++)
    if (r[i] != c10::detail::round_to_nearest_even(x[i])) return false;
  return true;
}

}  // namespace

TEST("view: plain is the parameter itself, without a copy") {
  Scratch scratch = roomy();
  const std::vector<at::Tensor> weights{random_tensor({5, 3}, at::kFloat, 1)};
  PlainView view(weights, at::kFloat, scratch);
  CHECK(view.value(0, at::kFloat).is_same(weights[0]));
  const at::Tensor rows = view.embedding(tensor_of(std::vector<double>{4, 0, 4}).to(at::kLong), 0);
  CHECK(same_bits(rows[0], weights[0][4]) && same_bits(rows[1], weights[0][0]) && same_bits(rows[2], weights[0][4]));
}

TEST("view: perturbed is θ − ηΔ bit for bit, and the parameter keeps its bits") {
  Scratch scratch = roomy();
  for (const auto dtype : {at::kFloat, at::kDouble})
    for (const auto& shape : shapes)
      for (const double learning_rate : {0.0, 1e-3, 0.37, -2.0, 1e30}) {
        const auto layout = layout_of({shape}, dtype);
        const std::vector<at::Tensor> weights{random_tensor(shape, dtype, 3)};
        const at::Tensor before = weights[0].clone();
        const auto direction = random_vector(layout, 4, 1e-2);
        PerturbedView view(weights, *direction, learning_rate, dtype, scratch);
        const at::Tensor expected = dtype == at::kDouble ? moved<double>(weights[0], (*direction)[0], learning_rate)
                                                         : moved<float>(weights[0], (*direction)[0], learning_rate);
        CHECK(same_bits(view.value(0, dtype), expected));
        CHECK(same_bits(weights[0], before));
      }
}

TEST("view: an embedding's rows are those of θ − ηΔ, whatever the shape of the ids") {
  Scratch scratch = roomy();
  for (const auto dtype : {at::kFloat, at::kDouble})
    for (const int64_t width : {1, 5, 40'000}) {
      const auto layout = layout_of({{6, width}}, dtype);
      const std::vector<at::Tensor> weights{random_tensor({6, width}, dtype, 5)};
      const auto direction = random_vector(layout, 6);
      PerturbedView view(weights, *direction, 0.3, dtype, scratch);
      const at::Tensor whole = view.value(0, dtype).clone();
      at::Tensor ids = tensor_of(std::vector<double>{5, 0, 3, 3, 1, 5}).to(at::kLong).reshape({2, 3});
      for (const at::Tensor& some : {ids, ids.t(), ids[1]}) {
        const at::Tensor rows = view.embedding(some, 0);
        CHECK(rows.size(-1) == width && rows.numel() == some.numel() * width);
        const at::Tensor flat = rows.reshape({-1, width}), list = some.reshape({-1});
        for (int64_t i = 0; i < list.numel(); i++) CHECK(same_bits(flat[i], whole[list[i].item<int64_t>()]));
      }
    }
}

TEST("view: undefined Δ leaves the parameter as it is") {
  Scratch scratch = roomy();
  const auto layout = layout_of({{4, 3}}, at::kFloat);
  const std::vector<at::Tensor> weights{random_tensor({4, 3}, at::kFloat, 7)};
  const ParameterVector nothing(layout, {at::Tensor()});
  PerturbedView view(weights, nothing, 1e9, at::kFloat, scratch);
  CHECK(view.value(0, at::kFloat).is_same(weights[0]));
  CHECK(same_bits(view.embedding(tensor_of(std::vector<double>{2}).to(at::kLong), 0)[0], weights[0][2]));
  PerturbedView rounded(weights, nothing, 1e9, at::kBFloat16, scratch);
  CHECK(rounds_as_c10(rounded.value(0, at::kBFloat16), weights[0]));
}

TEST("view: bfloat16 is round to nearest even, as c10 rounds") {
  Scratch scratch(4 << 20, 16);
  const std::vector<at::Tensor> weights{tensor_of(rounding_cases())};
  PlainView view(weights, at::kBFloat16, scratch);
  CHECK(rounds_as_c10(view.value(0, at::kBFloat16), weights[0]));
}

TEST("view: θ and ηΔ are combined in float32 and rounded to bfloat16 once") {
  Scratch scratch(4 << 20, 16);
  const std::vector<at::Tensor> weights{tensor_of(rounding_cases())};
  const auto layout = layout_of({{weights[0].numel()}}, at::kFloat);
  const auto direction = random_vector(layout, 8, 3);
  PerturbedView view(weights, *direction, 0.01, at::kBFloat16, scratch);
  CHECK(rounds_as_c10(view.value(0, at::kBFloat16), moved<float>(weights[0], (*direction)[0], 0.01)));
}

TEST("view: a linear layer holds its weight and its bias at once, in both storages") {
  Scratch scratch = roomy();
  const auto layout = layout_of({{4, 3}, {4}, {3, 4}}, at::kDouble);
  const auto weights = random_vector(layout, 9)->tensors();
  const auto direction = random_vector(layout, 10);
  const at::Tensor x = random_tensor({2, 3}, at::kDouble, 11);
  PerturbedView view(weights, *direction, 0.5, at::kDouble, scratch);
  const auto w = doubles_of(moved<double>(weights[0], (*direction)[0], 0.5));
  const auto b = doubles_of(moved<double>(weights[1], (*direction)[1], 0.5));
  const auto v = doubles_of(moved<double>(weights[2], (*direction)[2], 0.5));
  const auto in = doubles_of(x);
  const auto y = doubles_of(view.linear(x, 0, 1)), z = doubles_of(view.linear(x, 2, 1, ParameterView::Storage::in_out));
  const auto no_bias = doubles_of(view.linear(x, 0, std::nullopt));
  for (size_t row = 0; row < 2; row++)
    for (size_t out = 0; out < 4; out++) {
      double sum = 0, transposed = 0;
      for (size_t k = 0; k < 3; k++) {
        sum += in[row * 3 + k] * w[out * 3 + k];
        transposed += in[row * 3 + k] * v[k * 4 + out];
      }
      CHECK_CLOSE(y[row * 4 + out], sum + b[out], 1e-14);
      CHECK_CLOSE(z[row * 4 + out], transposed + b[out], 1e-14);
      CHECK_CLOSE(no_bias[row * 4 + out], sum, 1e-14);
    }
}

TEST("scratch: a tensor keeps its numbers as long as somebody holds it, and its room is used again thereafter") {
  Scratch scratch = roomy();
  const auto layout = layout_of({{8}, {8}}, at::kFloat);
  const auto weights = random_vector(layout, 12)->tensors();
  const auto direction = random_vector(layout, 13);
  PerturbedView view(weights, *direction, 1, at::kFloat, scratch);
  at::Tensor first = view.value(0, at::kFloat);
  const at::Tensor kept = first.clone();
  const void* room = view.value(1, at::kFloat).const_data_ptr();
  CHECK(same_bits(first, kept) && room != first.const_data_ptr());
  CHECK(view.value(1, at::kFloat).const_data_ptr() == room);
  const void* of_first = first.const_data_ptr();
  const at::Tensor part = std::exchange(first, at::Tensor()).narrow(0, 2, 3);
  CHECK(view.value(0, at::kFloat).const_data_ptr() != of_first);
}

TEST("view: what is shared is made once, and again after") {
  Scratch scratch = roomy();
  const auto layout = layout_of({{8, 4}, {4}}, at::kFloat);
  const auto weights = random_vector(layout, 12)->tensors();
  const auto direction = random_vector(layout, 13);
  PerturbedView view(weights, *direction, 1, at::kFloat, scratch);
  {
    const ParameterView::Shared shared(view, 2);
    const at::Tensor once = view.value(0, at::kFloat);
    CHECK(view.value(0, at::kFloat).is_same(once) && !view.value(1, at::kFloat).is_same(once));
  }
  const ParameterView::Shared alone(view, 1);
  const at::Tensor once = view.value(0, at::kFloat);
  CHECK(!view.value(0, at::kFloat).is_same(once));
}
