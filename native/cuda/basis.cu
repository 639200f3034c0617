#include <ATen/ops/mm.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>

#include "delta_at.cuh"
#include "each_number.cuh"
#include "kernels.hpp"
#include "sums.cuh"

namespace critical_sharpness::cuda {
namespace {

template <class T>
struct AddScaled {
  T* out;
  const T* x;
  T k;
  __device__ void operator()(int64_t i) const { out[i] = out[i] + k * x[i]; }
};

template <class T>
struct Product {
  const T *a, *b;
  __device__ double operator()(int64_t i) const { return static_cast<double>(a[i]) * static_cast<double>(b[i]); }
};

/// out += k·x, where x is there.
void add_scaled(const TensorList& out, const TensorList& x, double k) {
  with_type(out.front().scalar_type(), [&](auto type) {
    using T = decltype(type);
    std::vector<AddScaled<T>> work;
    std::vector<int64_t> lengths;
    for (size_t i = 0; i < out.size(); i++) {
      work.push_back({out[i].mutable_data_ptr<T>(), numbers_of<T>(x[i]), static_cast<T>(k)});
      lengths.push_back(x[i].defined() ? out[i].numel() : 0);
    }
    for_each_number(work, lengths);
  });
}

/// w ← w − Σ subtractⱼ·qⱼ, then add_up(terms, lengths, options) of the products q₀·w, …, w·w, tensor after tensor each.
template <class AddUp>
at::Tensor subtract_and_multiply(const Basis& basis, const TensorList& w, const std::vector<double>& subtract, bool project,
                                 const AddUp& add_up) {
  for (size_t j = 0; j < subtract.size(); j++) add_scaled(w, basis[j], -subtract[j]);
  const size_t projected = project ? basis.size() : 0;
  return with_type(w.front().scalar_type(), [&](auto type) {
    using T = decltype(type);
    std::vector<Product<T>> all;
    std::vector<int64_t> lengths;
    for (size_t j = 0; j <= projected; j++)
      for (size_t i = 0; i < w.size(); i++) {
        all.push_back({numbers_of<T>(j < projected ? basis[j][i] : w[i]), numbers_of<T>(w[i])});
        lengths.push_back(w[i].numel());
      }
    return add_up(all, lengths, w.front().options());
  });
}

/// Numbers that `rotate` works on at once: its copies stay small beside the basis.
constexpr int64_t rotated_at_once = 1 << 20;

}  // namespace

std::vector<double> subtract_and_project(const Basis& basis, const TensorList& w, const std::vector<double>& subtract,
                                         bool project) {
  const auto products = subtract_and_multiply(basis, w, subtract, project, [](const auto&... terms) { return sums_of(terms...); });
  const at::Tensor totals = products.view({-1, static_cast<int64_t>(w.size())}).sum(1).to(at::kCPU);
  const auto* first = totals.const_data_ptr<double>();
  return {first, first + totals.numel()};
}

std::vector<double> subtract_and_project_chunks(const Basis& basis, const TensorList& w, const std::vector<double>& subtract,
                                                bool project) {
  const at::Tensor products =
      subtract_and_multiply(basis, w, subtract, project, [](const auto&... terms) { return sums_of_chunks(terms...); }).to(at::kCPU);
  const auto* of_chunk = products.const_data_ptr<double>();
  const int64_t sums = static_cast<int64_t>(project ? basis.size() : 0) + 1;
  int64_t chunks = 0;
  for (const auto& tensor : w) chunks += chunks_in(tensor.numel(), terms_a_block);
  std::vector<double> by_chunk(static_cast<size_t>(chunks * sums));
  for (int64_t j = 0; j < sums; j++) {
    int64_t chunk = 0;
    for (const auto& tensor : w) {
      // A tensor without numbers has a sum, but no chunk.
      for (int64_t k = 0; k < chunks_in(tensor.numel(), terms_a_block); k++) by_chunk[static_cast<size_t>(chunk++ * sums + j)] = of_chunk[k];
      of_chunk += chunks_of_terms(tensor.numel());
    }
  }
  return by_chunk;
}

void rotate(const Basis& basis, const std::vector<double>& combination, size_t kept) {
  const at::Tensor& like = basis.front().front();
  const at::Tensor weights = at::tensor(combination, at::kDouble)
                                 .view({static_cast<int64_t>(kept), static_cast<int64_t>(basis.size())})
                                 .to(like.options());
  for (size_t i = 0; i < basis.front().size(); i++)
    for (int64_t start = 0, numbers = basis.front()[i].numel(); start < numbers; start += rotated_at_once) {
      TensorList parts;
      for (const auto& vector : basis)
        parts.push_back(vector[i].view({-1}).narrow(0, start, std::min(rotated_at_once, numbers - start)));
      const at::Tensor made = at::mm(weights, at::stack(parts));
      for (size_t j = 0; j < kept; j++) parts[j].copy_(made[static_cast<int64_t>(j)]);
    }
}

void combine(const TensorList& out, const Basis& vectors, const std::vector<double>& coefficients) {
  for (const auto& t : out) t.zero_();
  for (size_t j = 0; j < vectors.size(); j++) add_scaled(out, vectors[j], coefficients[j]);
}

}  // namespace critical_sharpness::cuda
