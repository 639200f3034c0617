#include "parameter_vector.hpp"

#include <ATen/Parallel.h>

#include <cmath>

#include "check.hpp"
#include "naive.hpp"
#include "support.hpp"

using namespace critical_sharpness;
using namespace critical_sharpness::test;

namespace {

const std::vector<std::vector<int64_t>> shapes{{300, 200}, {1}, {17}, {16384}, {5, 7, 3}};

/// Sets the number of threads, and the old one again at the end.
struct Threads {
  int before = at::get_num_threads();
  explicit Threads(int count) { at::set_num_threads(count); }
  ~Threads() { at::set_num_threads(before); }
};

}  // namespace

TEST("vector: dot is the same bits for every number of threads, and right") {
  for (const auto dtype : {at::kFloat, at::kDouble}) {
    const auto layout = layout_of(shapes, dtype);
    const auto a = random_vector(layout, 1), b = random_vector(layout, 100);
    const auto x = flat(*a), y = flat(*b);
    long double exact = 0, squares = 0;
    for (size_t i = 0; i < x.size(); i++) {
      exact += static_cast<long double>(x[i]) * y[i];
      squares += static_cast<long double>(x[i]) * x[i];
    }
    std::vector<double> dots, norms;
    for (const int threads : {1, 2, 3, 7}) {
      const Threads scope(threads);
      dots.push_back(a->dot(*b));
      norms.push_back(a->norm());
    }
    for (size_t i = 1; i < dots.size(); i++) CHECK(dots[i] == dots[0] && norms[i] == norms[0]);
    CHECK_CLOSE(dots[0], static_cast<double>(exact), 1e-11);
    CHECK_CLOSE(norms[0], static_cast<double>(std::sqrt(squares)), 1e-11);
    CHECK(a->dot(*b) == b->dot(*a));
  }
}

TEST("vector: float32 products are summed without overflow or rounding in float32") {
  const auto layout = layout_of({{3}}, at::kFloat);
  const ParameterVector a(layout, {tensor_of(std::vector<float>{1e30f, 1.0f, -1e30f})});
  const ParameterVector b(layout, {tensor_of(std::vector<float>{1e30f, 1.0f, 1e30f})});
  CHECK(std::isfinite(a.norm()) && a.norm() > 1.4e30);
  CHECK_CLOSE(a.dot(b), 0, 1);  // 1e60 + 1 − 1e60 in some order
}

TEST("vector: undefined tensors are zeros") {
  const auto layout = layout_of({{4}, {3}}, at::kFloat);
  const ParameterVector nothing(layout, {at::Tensor(), at::Tensor()});
  const auto full = random_vector(layout, 2);
  CHECK(nothing.dot(*full) == 0 && full->dot(nothing) == 0 && nothing.norm() == 0 && nothing.byte_length() == 0);
  const ParameterVector half(layout, {at::Tensor(), (*full)[1]});
  CHECK(half.dot(*full) == half.dot(half) && half.byte_length() == 12);
  CHECK(!half.scaled(2)[0].defined() && !half.clone()[0].defined());
}

TEST("vector: a mask shares what it keeps and drops the rest") {
  const auto layout = layout_of(shapes, at::kDouble);
  const auto full = random_vector(layout, 3);
  const auto shared = full->masked({true, false, true, false, true}), other = full->masked({false, true, false, true, false});
  const ParameterVector &part = require_stored(*shared, "part"), &rest = require_stored(*other, "rest");
  for (size_t i = 0; i < full->size(); i++) {
    CHECK(part[i].defined() != rest[i].defined());
    CHECK((part[i].defined() ? part : rest)[i].is_same((*full)[i]));
  }
  CHECK(part.dot(rest) == 0);
  CHECK_CLOSE(part.dot(*full) + rest.dot(*full), full->dot(*full), 1e-10);
  CHECK_CLOSE(std::hypot(part.norm(), rest.norm()), full->norm(), 1e-12);
}

TEST("vector: scaled and cloned ones are their own") {
  const auto layout = layout_of({{1000}}, at::kFloat);
  const auto full = random_vector(layout, 4);
  const at::Tensor before = (*full)[0].clone();
  const auto twice = full->scaled(-2), copy = full->clone();
  copy[0].zero_();
  CHECK(same_bits((*full)[0], before));
  CHECK(twice.dot(*full) == -2 * full->dot(*full));
  CHECK(full->scaled(0).norm() == 0);
}

TEST("vector: layouts that differ are told apart, and the message names where") {
  const auto layout = layout_of({{4}, {3}}, at::kFloat);
  const auto vector = random_vector(layout, 5);
  const auto differs = [&](const std::shared_ptr<const Layout>& other) {
    CHECK_CODE(vector->dot(*random_vector(other, 6)), "ERR_MODEL_MISMATCH");
  };
  differs(layout_of({{4}, {3}}, at::kDouble));
  differs(layout_of({{4}}, at::kFloat));
  differs(layout_of({{4}, {3}, {2}}, at::kFloat));
  differs(layout_of({{4}, {3, 1}}, at::kFloat));
  auto renamed = std::make_shared<Layout>(*layout);
  renamed->parameters[1].name = "other";
  differs(renamed);
  try {
    require_same_layout(*layout, *renamed, "the thing");
    CHECK(false);
  } catch (const InputError& error) {
    const std::string message = error.what();
    CHECK(message.find("the thing") != std::string::npos && message.find("\"other\"") != std::string::npos);
  }
  CHECK(vector->dot(*random_vector(layout_of({{4}, {3}}, at::kFloat), 5)) > 0);  // equal by value
}

TEST("vector: bytes are read within a tensor's bounds") {
  const auto vector = random_vector(layout_of({{2, 3}, {40'000}}, at::kFloat), 7);
  const auto all = read_bytes(*vector, 0, 0, 24);
  CHECK(all.size() == 24 && std::memcmp(all.data(), (*vector)[0].const_data_ptr(), 24) == 0);
  const auto middle = read_bytes(*vector, 0, 5, 7);
  CHECK(middle.size() == 7 && std::memcmp(middle.data(), all.data() + 5, 7) == 0);
  CHECK(read_bytes(*vector, 0, 20, 100).size() == 4);
  constexpr int64_t most = std::numeric_limits<int64_t>::max();
  CHECK(read_bytes(*vector, 0, most, most).empty());
  CHECK(read_bytes(*vector, 0, 0, 0).empty());
  const auto chunks = read_bytes(*vector, 1, 3, most);
  const auto* numbers = static_cast<const char*>((*vector)[1].const_data_ptr());
  CHECK(chunks.size() == 159'997 && std::memcmp(chunks.data(), numbers + 3, chunks.size()) == 0);
  const ParameterVector nothing(layout_of({{2, 3}}, at::kDouble), {at::Tensor()});
  CHECK(read_bytes(nothing, 0, 8, most) == std::vector<uint8_t>(40, 0));
}
