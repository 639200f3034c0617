// native/cuda against core/kernels, on the CPU: its kernels by emulation, its formulas as they are.
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/zeros.h>

#include <numeric>

#include "../cuda/kernels.hpp"
#include "check.hpp"
#include "kernels/basis.hpp"
#include "kernels/perturb.hpp"
#include "kernels/reduce.hpp"
#include "kernels/rotary.hpp"
#include "kernels/softmax.hpp"
#include "ranks/sums.hpp"
#include "support.hpp"

using namespace critical_sharpness;
using namespace critical_sharpness::test;
using kernels::Delta;
using kernels::Formula;
using kernels::FormulaDelta;
using kernels::StoredDelta;
using Tensors = std::vector<at::Tensor>;

namespace {

/// Every formula that there is.
#define CS_ONE(F, name) &kernels::formula<update::F>(),
const std::vector<const Formula*> formulas{CS_FORMULAS(CS_ONE)};
#undef CS_ONE
/// As good as any for each of them, in every function.
constexpr update::Constants constants{0.9, 0.3, 0.95, 0.05};
/// Less than a block, several blocks, and ends that fill none; nothing at all.
const std::vector<int64_t> lengths{1, 4096, 0, 40'001, 255, 16'385};

/// Deltas of every kind for a weight.
std::vector<Delta> deltas_of(const at::Tensor& weight, uint64_t seed) {
  const at::ScalarType dtype = weight.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  const at::Tensor m = random_tensor(weight.sizes(), dtype, seed), v = random_tensor(weight.sizes(), dtype, seed + 1).square();
  std::vector<Delta> all{StoredDelta{m}};
  for (const Formula* formula : formulas)
    for (const auto& [first, second] : {std::pair{m, v}, {m, at::Tensor()}, {at::Tensor(), v}, {at::Tensor(), at::Tensor()}})
      all.emplace_back(FormulaDelta{formula, weight, first, second, constants, 0.5, first.defined() ? 0.1 : 0});
  return all;
}

Tensors copies(const Tensors& tensors) {
  Tensors all;
  for (const auto& t : tensors) all.push_back(t.clone());
  return all;
}
bool same(const Tensors& a, const Tensors& b) {
  for (size_t i = 0; i < a.size(); i++)
    if (!same_bits(a[i], b[i])) return false;
  return a.size() == b.size();
}
Tensors random_list(at::ScalarType dtype, uint64_t seed) {
  Tensors list;
  for (const int64_t n : lengths) list.push_back(random_tensor({n}, dtype, seed++));
  return list;
}
/// More tensors than a launch takes.
Tensors many(at::ScalarType dtype, uint64_t seed) {
  Tensors list = random_list(dtype, seed);
  for (int64_t i = 0; i < 150; i++) list.push_back(random_tensor({1 + i % 7}, dtype, seed + 10 + static_cast<uint64_t>(i)));
  return list;
}
double distance(const at::Tensor& a, const at::Tensor& b) { return relative_distance(doubles_of(a), doubles_of(b)); }

}  // namespace

TEST("cuda: θ − ηΔ has the bits of the CPU, from every kind of Δ, weight and precision") {
  for (const auto weights : {at::kFloat, at::kDouble, at::kBFloat16})
    for (const int64_t n : lengths) {
      const at::Tensor weight = random_tensor({n}, weights, 1);
      auto deltas = deltas_of(weight, 2);
      deltas.emplace_back();
      for (const auto& delta : deltas)
        for (const auto dtype : {at::kFloat, at::kDouble, at::kBFloat16}) {
          const bool wide = dtype == (weights == at::kDouble ? at::kDouble : at::kFloat);
          if (!wide && !(dtype == at::kBFloat16 && weights == at::kFloat)) continue;
          const at::Tensor a = at::empty({n}, dtype), b = at::empty({n}, dtype);
          cuda::perturb(a, weight, delta, 0.37);
          kernels::perturb(b, weight, delta, 0.37);
          CHECK(same_bits(a, b));
        }
    }
}

TEST("cuda: −ηΔ in bfloat16, and the rows that an embedding gathered") {
  for (const auto weights : {at::kFloat, at::kDouble, at::kBFloat16}) {
    const at::ScalarType dtype = weights == at::kDouble ? at::kDouble : at::kFloat;
    const at::Tensor weight = random_tensor({50, 129}, weights, 1);
    const at::Tensor ids = tensor_of(std::vector<double>{3, 0, 49, 3, 7, 48, 3}).to(at::kLong);
    for (const auto& delta : deltas_of(weight, 2)) {
      const at::Tensor rows = random_tensor({7, 129}, dtype, 3), other = rows.clone();
      cuda::perturb_rows(rows, ids, delta, 0.3);
      kernels::perturb_rows(other, ids, delta, 0.3);
      CHECK(same_bits(rows, other));
      if (dtype == at::kDouble) continue;
      const at::Tensor a = at::empty(weight.sizes(), at::kBFloat16), b = at::empty(weight.sizes(), at::kBFloat16);
      cuda::negative_step(a, delta, 0.3);
      kernels::negative_step(b, delta, 0.3);
      CHECK(same_bits(a, b));
    }
  }
}

TEST("cuda: an optimizer's Δ, its step and its state have the bits of the CPU, over many tensors") {
  for (const auto dtype : {at::kFloat, at::kDouble}) {
    const Tensors weights = many(dtype, 1), m = many(dtype, 200), gradients = many(dtype, 400);
    Tensors v = many(dtype, 600);
    for (auto& t : v) t = t.square();
    Tensors some = gradients;
    some[3] = at::Tensor();

    const std::vector<double> ratios(weights.size(), 0.7);
    for (const Formula* formula : formulas) {
      const kernels::States a{copies(m), copies(v)}, b{copies(m), copies(v)};
      cuda::accumulate(*formula, a, some, constants);
      kernels::accumulate(*formula, b, some, constants);
      CHECK(same(a[0], b[0]) && same(a[1], b[1]) && !same(a[0], m));

      const Tensors p1 = copies(m), p2 = copies(m);
      cuda::write_metric(*formula, p1, {m, v}, constants, ratios);
      kernels::write_metric(*formula, p2, {m, v}, constants, ratios);
      CHECK(same(p1, p2));

      const auto deltas = [&](const Tensors& of) {
        std::vector<Delta> all;
        for (size_t i = 0; i < of.size(); i++) all.emplace_back(FormulaDelta{formula, of[i], m[i], v[i], constants, 0.5, 0.1});
        return all;
      };
      const Tensors d1 = copies(m), d2 = copies(m);
      cuda::write(d1, deltas(weights));
      kernels::write(d2, deltas(weights));
      CHECK(same(d1, d2));
      const Tensors w1 = copies(weights), w2 = copies(weights);
      cuda::step(deltas(w1), 0.01);
      kernels::step(deltas(w2), 0.01);
      CHECK(same(w1, w2) && !same(w1, weights));
    }
  }
}

TEST("cuda: inner products, of each parameter and of long ones, always in the same order") {
  for (const auto dtype : {at::kFloat, at::kDouble}) {
    const Tensors a = many(dtype, 1), b = many(dtype, 300);
    std::vector<Delta> first, second;
    for (size_t i = 0; i < a.size(); i++) {
      if (i == 4) first.emplace_back();
      else first.emplace_back(StoredDelta{a[i]});
      second.emplace_back(FormulaDelta{formulas.front(), a[i], b[i], b[i].square(), constants, 1, 0});
    }
    const at::Tensor got = cuda::dots(first, second), expected = kernels::dots(first, second);
    CHECK(got.sizes() == expected.sizes());
    CHECK_CLOSE(distance(got, expected), 0, 1e-14);
    CHECK(same_bits(got, cuda::dots(first, second)));
    CHECK(got[4].item<double>() == 0 && got[2].item<double>() == 0);
  }
}

TEST("cuda: a basis is orthogonalised, rotated and combined as on the CPU") {
  for (const auto& [dtype, tolerance] : {std::pair{at::kDouble, 1e-13}, {at::kFloat, 1e-5}}) {
    kernels::Basis basis, other;
    for (uint64_t j = 0; j < 4; j++) basis.push_back(random_list(dtype, 100 * j));
    for (const auto& vector : basis) other.push_back(copies(vector));
    const Tensors w = random_list(dtype, 900), same_w = copies(w);
    const std::vector<double> taken{0.5, -1, 0.25, 2};
    for (const bool project : {true, false}) {
      const auto got = cuda::subtract_and_project(basis, w, taken, project);
      CHECK_CLOSE(relative_distance(got, kernels::subtract_and_project(other, same_w, taken, project)), 0, tolerance);
      for (size_t i = 0; i < w.size(); i++)
        if (w[i].numel() > 0) CHECK_CLOSE(distance(w[i], same_w[i]), 0, tolerance);
    }
    const std::vector<double> combination{1, 2, 3, 4, -1, 0.5, 0.25, -2};
    cuda::rotate(basis, combination, 2);
    kernels::rotate(other, combination, 2);
    Tensors sum = copies(w), same_sum = copies(w);
    basis[1][3] = other[1][3] = at::Tensor();
    cuda::combine(sum, basis, taken);
    kernels::combine(same_sum, other, taken);
    for (size_t i = 0; i < w.size(); i++) {
      if (w[i].numel() == 0) continue;
      for (size_t j = 0; j < 4; j++)
        if (basis[j][i].defined()) CHECK_CLOSE(distance(basis[j][i], other[j][i]), 0, tolerance);
      CHECK_CLOSE(distance(sum[i], same_sum[i]), 0, tolerance);
    }
  }
}

TEST("cuda: what ranks add up of chunks is what a device does, and a basis is orthogonalised chunk by chunk") {
  const at::Tensor x = random_tensor({16'384 * 300 + 5}, at::kFloat, 1), y = random_tensor({16'384 * 300 + 5}, at::kFloat, 2);
  std::vector<double> chunks;
  for (int64_t start = 0; start < x.numel(); start += 16'384) {
    const int64_t length = std::min<int64_t>(16'384, x.numel() - start);
    const auto part = [&](const at::Tensor& t) { return Delta(StoredDelta{t.narrow(0, start, length)}); };
    chunks.push_back(cuda::dots({part(x)}, {part(y)}).item<double>());
  }
  CHECK(added_up(chunks, at::Device(at::kCUDA, 0)) == cuda::dots({StoredDelta{x}}, {StoredDelta{y}}).item<double>());
  CHECK(added_up(chunks, at::kCPU) == std::accumulate(chunks.begin(), chunks.end(), 0.0));
  CHECK(added_up({}, at::Device(at::kCUDA, 0)) == 0);

  const kernels::Basis basis{random_list(at::kFloat, 1), random_list(at::kFloat, 20)};
  for (const bool project : {true, false}) {
    const Tensors w = random_list(at::kFloat, 60), same_w = copies(w);
    const std::vector<double> taken{0.5, -0.25};
    const auto got = cuda::subtract_and_project_chunks(basis, w, taken, project);
    CHECK_CLOSE(relative_distance(got, kernels::subtract_and_project_chunks(basis, same_w, taken, project)), 0, 1e-6);
    CHECK(same(w, same_w));
  }
}

TEST("cuda: activations and their derivatives, softmaxes and rotations are those of the CPU's loops") {
  const at::Tensor x = random_tensor({40, 33}, at::kDouble, 1, 4);
  for (const auto kind : {Activation::gelu, Activation::gelu_tanh, Activation::relu, Activation::silu, Activation::tanh}) {
    const auto a = cuda::activation_derivatives(x, kind), b = kernels::activation_derivatives(x, kind);
    CHECK_CLOSE(distance(a.output, b.output), 0, 1e-14);
    CHECK_CLOSE(distance(a.first, b.first), 0, 1e-14);
    if (kind != Activation::relu) CHECK_CLOSE(distance(a.second, b.second), 0, 1e-14);
  }
  const auto rows = [](uint64_t seed) { return random_tensor({40, 33}, at::kDouble, seed); };
  CHECK_CLOSE(distance(cuda::sum_of_products(x, rows(2), rows(3), rows(4)), kernels::sum_of_products(x, rows(2), rows(3), rows(4))), 0, 1e-14);

  const at::Tensor p = at::softmax(x, 1);
  at::Tensor t1 = rows(5), t2 = rows(5);
  cuda::softmax_tangent(p, t1);
  kernels::softmax_tangent(p, t2);
  CHECK_CLOSE(distance(t1, t2), 0, 1e-14);
  const at::Tensor tangent1 = rows(6), tangent2 = rows(6), v1 = rows(7), v2 = rows(7), d1 = rows(8), d2 = rows(8);
  cuda::softmax_backward(p, tangent1, v1, d1);
  kernels::softmax_backward(p, tangent2, v2, d2);
  CHECK_CLOSE(distance(tangent1, tangent2), 0, 1e-14);
  CHECK_CLOSE(distance(v1, v2), 0, 1e-13);
  CHECK_CLOSE(distance(d1, d2), 0, 1e-14);
  at::Tensor targets = at::zeros({40}, at::kLong);
  for (int64_t i = 0; i < 40; i++) targets[i] = i % 5 == 0 ? Batch::ignored : (7 * i) % 33;
  const at::Tensor p1 = p.clone(), p2 = p.clone();
  const at::Tensor s1 = cuda::cross_entropy_curvature(p1, t1, targets, 0.3), s2 = kernels::cross_entropy_curvature(p2, t2, targets, 0.3);
  CHECK_CLOSE(s1.item<double>() / s2.item<double>(), 1, 1e-13);
  CHECK_CLOSE(distance(p1, p2), 0, 1e-14);
  CHECK_CLOSE(distance(t1, t2), 0, 1e-13);

  const at::Tensor heads = random_tensor({2, 5, 3, 10}, at::kDouble, 9), c = random_tensor({5, 4}, at::kDouble, 10),
                   s = random_tensor({5, 4}, at::kDouble, 11);
  for (const bool back : {true, false})
    CHECK(same_bits(cuda::rotate(heads, c, s, back), kernels::rotate(heads, c, s, back)));
}

TEST("cuda: norms and their derivatives are those of the CPU's loops") {
  const auto rows = [](uint64_t seed) { return random_tensor({50, 33}, at::kDouble, seed); };
  const auto vector = [](uint64_t seed) { return random_tensor({33}, at::kDouble, seed); };
  const auto close = [](const at::Tensor& a, const at::Tensor& b) {
    CHECK(a.sizes() == b.sizes());
    CHECK_CLOSE(distance(a, b), 0, 1e-12);
  };
  const at::Tensor x = rows(1), g = rows(2), dx = rows(3), kept = rows(4);
  for (const bool centered : {true, false})
    for (const bool weighted : {true, false}) {
      const at::Tensor w = weighted ? vector(5) : at::Tensor(), b = weighted ? vector(6) : at::Tensor(),
                       dw = weighted ? vector(7) : at::Tensor(), db = weighted ? vector(8) : at::Tensor();
      const auto a = cuda::norm(x, w, b, 1e-5, centered), e = kernels::norm(x, w, b, 1e-5, centered);
      close(a.output, e.output);
      close(a.normalized, e.normalized);
      close(a.scale, e.scale);
      const auto ga = cuda::norm_gradients(g, e.normalized, e.scale, w, centered),
                 ge = kernels::norm_gradients(g, e.normalized, e.scale, w, centered);
      close(ga.input, ge.input);
      close(ga.weight, ge.weight);
      close(ga.bias, ge.bias);
      const auto ta = cuda::norm_tangent(dx, e.normalized, e.scale, w, dw, db, centered),
                 te = kernels::norm_tangent(dx, e.normalized, e.scale, w, dw, db, centered);
      close(ta.output, te.output);
      close(ta.normalized, te.normalized);
      close(ta.along, te.along);
      for (const auto& tangent_gradient : {kept, at::Tensor()}) {
        const kernels::NormOperands operands{g, tangent_gradient, e.normalized, te.normalized, e.scale, te.along, w, dw, centered};
        const auto sa = cuda::norm_second_order(operands), se = kernels::norm_second_order(operands);
        close(sa.input, se.input);
        close(sa.weight, se.weight);
        close(sa.bias, se.bias);
      }
    }
}
