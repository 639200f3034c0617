#pragma once
// What the tests of core share: numbers from fixed generators, bit patterns, batches, weights.
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "batch.hpp"
#include "model.hpp"
#include "network/mlp.hpp"
#include "optimizer.hpp"
#include "parameter_vector.hpp"
#include "update/muon.hpp"
#include "update/rules.hpp"

namespace critical_sharpness::test {

/// A generator of its own (SplitMix64, Steele et al. 2014): the same numbers with every standard library.
class Numbers {
 public:
  explicit Numbers(uint64_t seed) : state_(seed) {}
  uint64_t bits() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  /// In [−1, 1).
  double uniform() { return static_cast<double>(bits() >> 11) / (1ll << 52) - 1; }
  int64_t below(int64_t n) { return static_cast<int64_t>(bits() % static_cast<uint64_t>(n)); }

 private:
  uint64_t state_;
};

/// Uniform in ±scale.
at::Tensor random_tensor(at::IntArrayRef shape, at::ScalarType dtype, uint64_t seed, double scale = 1);
/// A float32 or float64 tensor of one axis with these values.
at::Tensor tensor_of(const std::vector<float>& values);
at::Tensor tensor_of(const std::vector<double>& values);
std::vector<double> doubles_of(const at::Tensor& tensor);

template <class To, class From>
To bit_cast(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  std::memcpy(&to, &from, sizeof to);
  return to;
}
/// Equal dtypes, shapes and bytes.
bool same_bits(const at::Tensor& a, const at::Tensor& b);
/// The same, but one NaN is as good as another.
bool same_values(const at::Tensor& a, const at::Tensor& b);

/// A layout of parameters p0, p1, … with these shapes.
std::shared_ptr<const Layout> layout_of(const std::vector<std::vector<int64_t>>& shapes, at::ScalarType dtype);
/// An optimizer with one rule for all parameters.
inline std::unique_ptr<Optimizer> make_sgd(std::shared_ptr<Model> model, const ParameterGroups& groups, update::SgdOptions options) {
  return std::make_unique<Optimizer>(std::move(model), groups, std::make_shared<update::Sgd>(options));
}
inline std::unique_ptr<Optimizer> make_adamw(std::shared_ptr<Model> model, const ParameterGroups& groups, update::AdamWOptions options) {
  return std::make_unique<Optimizer>(std::move(model), groups, std::make_shared<update::AdamW>(options));
}
/// Muon for matrices, AdamW for vectors.
inline std::unique_ptr<Optimizer> make_muon(std::shared_ptr<Model> model, const ParameterGroups& groups, update::MuonOptions options) {
  Rules rules{{std::make_shared<update::Muon>(options), std::make_shared<update::AdamW>(update::AdamWOptions{})}, {}};
  for (const auto& parameter : model->layout()->parameters) rules.of.push_back(parameter.shape.size() == 2 ? 0 : 1);
  return std::make_unique<Optimizer>(std::move(model), groups, std::move(rules));
}
inline std::unique_ptr<Optimizer> make_lion(std::shared_ptr<Model> model, const ParameterGroups& groups) {
  const update::RuleOptions options({{"beta1", 0.9}, {"beta2", 0.99}});
  return std::make_unique<Optimizer>(std::move(model), groups, update::make_rule("lion", options));
}
/// A state that another optimizer may take, or that is to stay as it is.
OptimizerState copy_of(const OptimizerState& state);

std::shared_ptr<const ParameterVector> random_vector(std::shared_ptr<const Layout> layout, uint64_t seed, double scale = 1);

/// Rows of uniform inputs; targets uniform [n, outputs], or classes below `outputs`.
std::shared_ptr<const Batch> example_batch(int64_t rows, int64_t features, int64_t outputs, Loss loss, uint64_t seed);
/// Every `ignored`-th label does not count; 0: all do.
std::shared_ptr<const Batch> token_batch(int64_t rows, int64_t length, int64_t vocabulary, uint64_t seed, int64_t ignored = 0);

/// Copies of a model's weights.
std::vector<at::Tensor> copy_weights(const Model& model);
bool same_weights(const Model& model, const std::vector<at::Tensor>& copies);
/// Fills a model with uniform numbers in ±scale, norms and biases too, so that no part of it is trivial.
void randomize(Model& model, uint64_t seed, double scale);

/// ‖a − b‖ / ‖b‖ of two lists of numbers.
double relative_distance(const std::vector<double>& a, const std::vector<double>& b);

}  // namespace critical_sharpness::test
