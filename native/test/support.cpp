#include "support.hpp"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <cmath>

namespace critical_sharpness::test {
namespace {

template <class T>
at::Tensor filled(const std::vector<T>& values, at::IntArrayRef shape, at::ScalarType dtype) {
  at::Tensor tensor = at::empty(shape, dtype);
  std::memcpy(tensor.mutable_data_ptr(), values.data(), values.size() * sizeof(T));
  return tensor;
}

template <class T>
bool same_numbers(const at::Tensor& a, const at::Tensor& b) {
  const T *x = a.const_data_ptr<T>(), *y = b.const_data_ptr<T>();
  for (int64_t i = 0; i < a.numel(); i++) {
    if (std::isnan(x[i]) && std::isnan(y[i])) continue;
    if (std::memcmp(x + i, y + i, sizeof(T)) != 0) return false;
  }
  return true;
}

}  // namespace

at::Tensor random_tensor(at::IntArrayRef shape, at::ScalarType dtype, uint64_t seed, double scale) {
  Numbers numbers(seed);
  at::Tensor tensor = at::empty(shape, at::kDouble);
  auto* data = tensor.mutable_data_ptr<double>();
  for (int64_t i = 0; i < tensor.numel(); i++) data[i] = scale * numbers.uniform();
  return tensor.to(dtype);
}

at::Tensor tensor_of(const std::vector<float>& values) {
  return filled(values, {static_cast<int64_t>(values.size())}, at::kFloat);
}
at::Tensor tensor_of(const std::vector<double>& values) {
  return filled(values, {static_cast<int64_t>(values.size())}, at::kDouble);
}

std::vector<double> doubles_of(const at::Tensor& tensor) {
  const at::Tensor wide = tensor.to(at::kDouble).contiguous();
  return {wide.const_data_ptr<double>(), wide.const_data_ptr<double>() + wide.numel()};
}

bool same_bits(const at::Tensor& a, const at::Tensor& b) {
  return a.scalar_type() == b.scalar_type() && a.sizes() == b.sizes() && a.is_contiguous() && b.is_contiguous() &&
         (a.nbytes() == 0 || std::memcmp(a.const_data_ptr(), b.const_data_ptr(), a.nbytes()) == 0);
}

bool same_values(const at::Tensor& a, const at::Tensor& b) {
  if (a.scalar_type() != b.scalar_type() || a.sizes() != b.sizes()) return false;
  return a.scalar_type() == at::kDouble ? same_numbers<double>(a, b) : same_numbers<float>(a, b);
}

std::shared_ptr<const Layout> layout_of(const std::vector<std::vector<int64_t>>& shapes, at::ScalarType dtype) {
  auto layout = std::make_shared<Layout>();
  for (size_t i = 0; i < shapes.size(); i++) layout->parameters.push_back({"p" + std::to_string(i), shapes[i]});
  layout->dtype = dtype;
  return layout;
}

OptimizerState copy_of(const OptimizerState& state) {
  OptimizerState copy;
  for (const auto& [role, vector] : state) copy[role] = std::make_shared<ParameterVector>(vector->clone());
  return copy;
}

std::shared_ptr<const ParameterVector> random_vector(std::shared_ptr<const Layout> layout, uint64_t seed, double scale) {
  std::vector<at::Tensor> tensors;
  for (const auto& p : layout->parameters) tensors.push_back(random_tensor(p.shape, layout->dtype, seed++, scale));
  return std::make_shared<ParameterVector>(std::move(layout), std::move(tensors));
}

std::shared_ptr<const Batch> example_batch(int64_t rows, int64_t features, int64_t outputs, Loss loss, uint64_t seed) {
  const at::Tensor inputs = random_tensor({rows, features}, at::kDouble, seed, 2);
  if (loss == Loss::mse) return Batch::examples(inputs, random_tensor({rows, outputs}, at::kDouble, seed + 1));
  Numbers numbers(seed + 1);
  at::Tensor classes = at::empty({rows}, at::kLong);
  for (int64_t i = 0; i < rows; i++) classes.mutable_data_ptr<int64_t>()[i] = numbers.below(outputs);
  return Batch::examples(inputs, classes);
}

std::shared_ptr<const Batch> token_batch(int64_t rows, int64_t length, int64_t vocabulary, uint64_t seed, int64_t ignored) {
  Numbers numbers(seed);
  at::Tensor ids = at::empty({rows, length}, at::kLong), labels = at::empty({rows, length}, at::kLong);
  for (int64_t i = 0; i < ids.numel(); i++) {
    ids.mutable_data_ptr<int64_t>()[i] = numbers.below(vocabulary);
    const bool counts = ignored == 0 || i % ignored != ignored - 1;
    labels.mutable_data_ptr<int64_t>()[i] = counts ? numbers.below(vocabulary) : Batch::ignored;
  }
  return Batch::tokens(ids, labels);
}

std::vector<at::Tensor> copy_weights(const Model& model) {
  std::vector<at::Tensor> copies;
  for (size_t i = 0; i < model.layout()->size(); i++) copies.push_back(model.parameter(i).clone());
  return copies;
}

bool same_weights(const Model& model, const std::vector<at::Tensor>& copies) {
  for (size_t i = 0; i < copies.size(); i++)
    if (!same_bits(model.parameter(i), copies[i])) return false;
  return copies.size() == model.layout()->size();
}

void randomize(Model& model, uint64_t seed, double scale) {
  model.initialize(Initialization::zeros, 0);
  for (size_t i = 0; i < model.layout()->size(); i++)
    at::Tensor(model.parameter(i)).copy_(random_tensor(model.parameter(i).sizes(), at::kDouble, seed++, scale));
}

double relative_distance(const std::vector<double>& a, const std::vector<double>& b) {
  if (a.size() != b.size() || b.empty()) return std::nan("");
  double difference = 0, norm = 0;
  for (size_t i = 0; i < a.size(); i++) {
    difference += (a[i] - b[i]) * (a[i] - b[i]);
    norm += b[i] * b[i];
  }
  return std::sqrt(difference / norm);
}

}  // namespace critical_sharpness::test
