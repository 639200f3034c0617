#include "optimizer.hpp"

#include <cmath>

#include "check.hpp"
#include "naive.hpp"
#include "support.hpp"

using namespace critical_sharpness;
using namespace critical_sharpness::test;

namespace {

/// Two layers, four parameters: the last gradient is undefined (zeros) throughout, and the third at the second step.
std::shared_ptr<Model> make_model(at::ScalarType dtype) {
  auto model = std::make_shared<Model>(make_mlp({{150, 120, 3}, Activation::gelu, Loss::mse}), dtype, dtype);
  randomize(*model, 1, 0.5);
  return model;
}
ParameterVector gradient_at(const Model& model, int64_t step) {
  auto tensors = random_vector(model.layout(), 10 * static_cast<uint64_t>(step), 1e-2)->tensors();
  tensors[3] = at::Tensor();
  if (step == 2) tensors[2] = at::Tensor();
  return {model.layout(), tensors};
}

const ParameterGroups groups{{1, 0.5, 2, 3}, {0.1, 0, 0.2, 0.3}};
std::vector<double> spread(const Model& model, const std::vector<double>& per_parameter) {
  std::vector<double> all;
  for (size_t i = 0; i < per_parameter.size(); i++)
    all.insert(all.end(), static_cast<size_t>(model.parameter(i).numel()), per_parameter[i]);
  return all;
}
std::vector<double> weights_of(const Model& model) { return flat({model.layout(), copy_weights(model)}); }

/// One weight's state and update, as a textbook has it.
struct Scalar {
  double momentum = 0, m = 0, v = 0, gradient = 0;
};
using Accumulate = void (*)(Scalar&, double gradient);
/// Δ without ratio and decay, and P, after `step` gradients.
using Read = std::pair<double, double> (*)(const Scalar&, int64_t step);

struct Textbook {
  const char* name;
  std::unique_ptr<Optimizer> (*make)(std::shared_ptr<Model>);
  Accumulate accumulate;
  Read read;
  double float64_tolerance = 1e-12;
  bool has_metric = true;
};

constexpr double almost_one = 1 - 1e-9;

const std::vector<Textbook> textbooks{
    {"sgd", [](auto model) { return make_sgd(model, groups, {}); },
     [](Scalar& s, double g) { s.gradient = g; }, [](const Scalar& s, int64_t) { return std::pair{s.gradient, 1.0}; }},
    {"momentum", [](auto model) { return make_sgd(model, groups, {0.9, false}); },
     [](Scalar& s, double g) { s.momentum = 0.9 * s.momentum + g; },
     [](const Scalar& s, int64_t) { return std::pair{s.momentum, 1.0}; }},
    {"nesterov", [](auto model) { return make_sgd(model, groups, {0.9, true}); },
     [](Scalar& s, double g) { s.momentum = 0.9 * s.momentum + (s.gradient = g); },
     [](const Scalar& s, int64_t) { return std::pair{s.gradient + 0.9 * s.momentum, 1.0}; }},
    {"adamw", [](auto model) { return make_adamw(model, groups, {0.9, 0.999, 1e-8}); },
     [](Scalar& s, double g) {
       s.m = 0.9 * s.m + 0.1 * g;
       s.v = 0.999 * s.v + 0.001 * g * g;
     },
     [](const Scalar& s, int64_t t) {
       const double n = static_cast<double>(t), p = (1 - std::pow(0.9, n)) * (std::sqrt(s.v / (1 - std::pow(0.999, n))) + 1e-8);
       return std::pair{s.m / p, p};
     }},
    // β₂ that is 1 in float32. 1 − β₂ᵗ has seven digits in float64.
    {"adamw with a long memory", [](auto model) { return make_adamw(model, groups, {0.5, almost_one, 1e-6}); },
     [](Scalar& s, double g) {
       s.m = 0.5 * s.m + 0.5 * g;
       s.v = almost_one * s.v + (1 - almost_one) * g * g;
     },
     [](const Scalar& s, int64_t t) {
       const double n = static_cast<double>(t), c2 = -std::expm1(n * std::log1p(almost_one - 1));
       const double p = (1 - std::pow(0.5, n)) * (std::sqrt(s.v / c2) + 1e-6);
       return std::pair{s.m / p, p};
     }, 1e-6},
    {"lion", [](auto model) { return make_lion(model, groups); },
     [](Scalar& s, double g) {
       s.v = 0.9 * s.m + 0.1 * g;
       s.m = 0.99 * s.m + 0.01 * g;
     },
     [](const Scalar& s, int64_t) { return std::pair{s.v > 0 ? 1.0 : s.v < 0 ? -1.0 : 0.0, 0.0}; }, 1e-12, false},
};

using Make = std::unique_ptr<Optimizer> (*)(std::shared_ptr<Model>);
/// Of every kind of Δ: chunk by chunk, whole, and both by parameter.
std::vector<Make> makers() {
  std::vector<Make> all{[](auto model) { return make_muon(model, groups, {}); },
                        [](auto model) { return make_muon(model, groups, {0.9, false, 1.5, -0.5, 0, 1e-7, 3, at::kFloat, true}); }};
  for (const auto& textbook : textbooks) all.push_back(textbook.make);
  return all;
}

void check_against(const Textbook& textbook, at::ScalarType dtype, double tolerance) {
  const auto model = make_model(dtype);
  const auto optimizer = textbook.make(model);
  std::vector<Scalar> state(weights_of(*model).size());
  const auto ratio = spread(*model, groups.learning_rate_ratio), decay = spread(*model, groups.weight_decay);
  for (int64_t step = 1; step <= 5; step++) {
    const ParameterVector gradient = gradient_at(*model, step);
    optimizer->accumulate(gradient);
    CHECK(optimizer->steps() == step);
    const auto g = flat(gradient), w = weights_of(*model);
    std::vector<double> plain, decayed, diagonal;
    for (size_t i = 0; i < state.size(); i++) {
      textbook.accumulate(state[i], g[i]);
      const auto [delta, p] = textbook.read(state[i], step);
      plain.push_back(ratio[i] * delta);
      decayed.push_back(ratio[i] * (delta + decay[i] * w[i]));
      diagonal.push_back(p / ratio[i]);
    }
    CHECK_CLOSE(relative_distance(flat(*optimizer->direction(false)), plain), 0, tolerance);
    CHECK_CLOSE(relative_distance(flat(*optimizer->direction(true)), decayed), 0, tolerance);
    if (textbook.has_metric) CHECK_CLOSE(relative_distance(flat(*optimizer->preconditioner()), diagonal), 0, tolerance);
    else CHECK_CODE(optimizer->preconditioner(), "ERR_NO_METRIC");
    optimizer->step(0.05);
  }
}

/// θ − η·Δ of a direction, bit for bit.
template <class T>
bool stepped(const Model& model, const std::vector<at::Tensor>& before, const ParameterVector& direction, double learning_rate) {
  for (size_t i = 0; i < before.size(); i++)
    for (int64_t k = 0; k < before[i].numel(); k++) {
      const T move = static_cast<T>(learning_rate) * direction[i].const_data_ptr<T>()[k];
      const T expected = before[i].const_data_ptr<T>()[k] - move;
      if (std::memcmp(&expected, model.parameter(i).const_data_ptr<T>() + k, sizeof expected) != 0) return false;
    }
  return true;
}

}  // namespace

TEST("optimizer: directions and preconditioners are those of the textbook's recursions") {
  for (const auto& textbook : textbooks) {
    check_against(textbook, at::kDouble, textbook.float64_tolerance);
    check_against(textbook, at::kFloat, 1e-6);
  }
}

TEST("optimizer: a step is θ − η·Δ with the same bits as the direction says") {
  for (const auto& make : makers())
    for (const auto dtype : {at::kFloat, at::kDouble}) {
      const auto model = make_model(dtype);
      const auto optimizer = make(model);
      for (int64_t t = 1; t <= 3; t++) {
        optimizer->accumulate(gradient_at(*model, t));
        const auto before = copy_weights(*model);
        const auto direction = optimizer->direction(true);
        CHECK(same_weights(*model, before));
        const auto version = model->version();
        optimizer->step(0.03);
        CHECK(model->version() == version + 1);
        CHECK(dtype == at::kFloat ? stepped<float>(*model, before, *direction, 0.03) : stepped<double>(*model, before, *direction, 0.03));
      }
    }
}

TEST("optimizer: a copy of the state restored into another goes on with the same bits") {
  for (const auto& make : makers()) {
    const auto model = make_model(at::kFloat);
    const auto first = make(model), second = make(model);
    first->accumulate(gradient_at(*model, 1));
    first->accumulate(gradient_at(*model, 2));
    const OptimizerState state = copy_of(first->state());
    const auto kept = first->direction(true);
    first->accumulate(gradient_at(*model, 3));
    second->restore(2, state);
    CHECK(second->steps() == 2);
    const auto restored = second->direction(true);
    for (size_t i = 0; i < kept->size(); i++) CHECK(same_bits((*restored)[i], (*kept)[i]));
    second->accumulate(gradient_at(*model, 3));
    const auto expected = first->direction(true), received = second->direction(true);
    for (size_t i = 0; i < kept->size(); i++) CHECK(same_bits((*received)[i], (*expected)[i]));
    second->restore(0, {});
    CHECK_CODE(second->direction(true), "ERR_NO_GRADIENT");
  }
}

TEST("optimizer: what cannot be used is said, and changes nothing") {
  const auto model = make_model(at::kFloat);
  const auto other = std::make_shared<Model>(make_mlp({{2, 2}, Activation::gelu, Loss::mse}), at::kFloat, at::kFloat);
  for (const auto& make : makers()) {
    const auto optimizer = make(model);
    const auto version = model->version();
    CHECK_CODE(optimizer->direction(true), "ERR_NO_GRADIENT");
    CHECK_CODE(optimizer->preconditioner(), "ERR_NO_GRADIENT");
    CHECK_CODE((optimizer->step(0.1), 0), "ERR_NO_GRADIENT");
    CHECK_CODE((optimizer->accumulate(*random_vector(other->layout(), 1)), 0), "ERR_MODEL_MISMATCH");
    CHECK_CODE((optimizer->accumulate(*random_vector(make_model(at::kDouble)->layout(), 1)), 0), "ERR_MODEL_MISMATCH");
    CHECK(optimizer->steps() == 0);
    optimizer->accumulate(gradient_at(*model, 1));
    const auto kept = optimizer->direction(true);
    CHECK_CODE((optimizer->restore(3, {}), 0), "ERR_OPTIMIZER_STATE");
    OptimizerState wrong;
    for (const auto& [role, vector] : optimizer->state()) wrong[role] = random_vector(other->layout(), 1);
    CHECK_CODE((optimizer->restore(3, wrong), 0), "ERR_MODEL_MISMATCH");
    CHECK(optimizer->steps() == 1 && model->version() == version);
    const auto still = optimizer->direction(true);
    for (size_t i = 0; i < kept->size(); i++) CHECK(same_bits((*still)[i], (*kept)[i]));
  }
  CHECK_CODE(make_sgd(model, {{1}, {0}}, {}), "ERR_OUT_OF_RANGE");
  CHECK_CODE(make_adamw(model, {{1, 1, 1, 1}, {0, 0}}, {}), "ERR_OUT_OF_RANGE");
}

TEST("optimizer: gradients of zero leave weights and Δ finite") {
  for (const auto& make : makers()) {
    const auto model = make_model(at::kFloat);
    const auto optimizer = make(model);
    optimizer->accumulate(ParameterVector(model->layout(), std::vector<at::Tensor>(4)));
    for (const double d : flat(*optimizer->direction(false))) CHECK(d == 0);
  }
}

TEST("muon: what is orthogonalised is so, whatever its shape; and it stops between iterations") {
  // a, b, c of a cubic iteration that converges to UVᵀ.
  const update::MuonOptions options{0, false, 1.5, -0.5, 0, 1e-7, 40, at::kDouble, false};
  for (const auto& [rows, columns] : {std::pair<int64_t, int64_t>{7, 4}, {4, 7}, {5, 5}, {1, 6}, {6, 1}}) {
    const at::Tensor matrix = random_tensor({rows, columns}, at::kDouble, 3), kept = matrix.clone();
    const at::Tensor x = update::orthogonalized(matrix, options, {});
    CHECK(x.size(0) == rows && x.size(1) == columns && same_bits(matrix, kept));
    const at::Tensor gram = rows > columns ? x.t().matmul(x) : x.matmul(x.t());
    for (int64_t i = 0; i < gram.size(0); i++)
      for (int64_t j = 0; j < gram.size(1); j++) CHECK_CLOSE(gram[i][j].item<double>(), i == j ? 1 : 0, 1e-10);
  }
  const Cancellation cancel;
  cancel.cancel();
  bool stopped = false;
  try {
    update::orthogonalized(random_tensor({3, 3}, at::kFloat, 1), options, cancel);
  } catch (const Cancelled&) {
    stopped = true;
  }
  CHECK(stopped);
}

TEST("muon: a parameter that is no matrix is said to be none") {
  const auto model = make_model(at::kFloat);
  const auto optimizer = std::make_unique<Optimizer>(model, groups, std::make_shared<update::Muon>(update::MuonOptions{}));
  optimizer->accumulate(gradient_at(*model, 1));
  CHECK_CODE(optimizer->direction(true), "ERR_OUT_OF_RANGE");
}
