#include <cmath>

#include "network/network.hpp"
#include "check.hpp"
#include "curvature/curvature.hpp"
#include "decoders.hpp"
#include "support.hpp"

using namespace critical_sharpness;
using namespace critical_sharpness::test;

namespace {

const auto batch = [] { return token_batch(3, 5, 11, 2, 4); };

std::shared_ptr<Model> make(const DecoderDescription& d, at::ScalarType dtype, at::ScalarType compute) {
  auto model = std::make_shared<Model>(make_decoder(d), dtype, compute);
  randomize(*model, 3, 0.6);
  return model;
}

/// Undefined, of an expert that no token chose: zeros.
std::vector<double> numbers(const ParameterVector& vector) {
  std::vector<double> all;
  for (size_t i = 0; i < vector.size(); i++) {
    const auto count = static_cast<size_t>(vector.layout()->parameters[i].numel());
    const auto part = vector[i].defined() ? doubles_of(vector[i]) : std::vector<double>(count, 0.0);
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

bool same_bits(const ParameterVector& a, const ParameterVector& b) {
  for (size_t i = 0; i < a.size(); i++)
    if (a[i].defined() != b[i].defined() || (a[i].defined() && !test::same_bits(a[i], b[i]))) return false;
  return true;
}

template <class Value>
auto between(Model& model, const ParameterVector& v, double h, const Value& value) {
  const auto move = [&](double by) {
    auto& weights = model.weights_to_change();
    for (size_t i = 0; i < weights.size(); i++) weights[i].add_(v[i], by);
  };
  move(h);
  const auto up = value();
  move(-2 * h);
  const auto down = value();
  move(h);
  return std::pair(up, down);
}

}  // namespace

TEST("decoder: the gradient is the difference of losses, products are the differences of gradients") {
  for (const auto& d : decoder_descriptions()) {
    const auto model = make(d, at::kDouble, at::kDouble);
    const auto direction = random_vector(model->layout(), 7);
    const double h = 1e-6;
    const auto [up, down] = between(*model, *direction, h, [&] { return model->loss(*batch(), nullptr, {}).loss; });
    const auto gradient = model->gradient(*batch(), {});
    CHECK_CLOSE(gradient.gradient->dot(*direction), (up - down) / (2 * h), 1e-7);
    const auto gradient_now = [&] { return numbers(*model->gradient(*batch(), {}).gradient); };
    const auto [g_up, g_down] = between(*model, *direction, h, gradient_now);
    std::vector<double> differences;
    for (size_t i = 0; i < g_up.size(); i++) differences.push_back((g_up[i] - g_down[i]) / (2 * h));
    const auto product = Curvature(model, batch(), {curvature::Operator::hessian, 0, false}).product(*direction, {});
    CHECK_CLOSE(product.slope, gradient.gradient->dot(*direction), 1e-12);
    CHECK_CLOSE(relative_distance(numbers(*product.product), differences), 0, 1e-6);
  }
}

TEST("decoder: a gradient with recomputed activations has the same bits") {
  for (const auto& d : decoder_descriptions())
    for (const auto& [dtype, compute] : {std::pair{at::kDouble, at::kDouble},
                                         {at::kFloat, at::kFloat},
                                         {at::kFloat, at::kBFloat16},
                                         {at::kBFloat16, at::kFloat},
                                         {at::kBFloat16, at::kBFloat16}}) {
      const auto model = make(d, dtype, compute);
      for (const int64_t micro_batch : {0, 1}) {
        PassOptions options;
        options.micro_batch = micro_batch;
        const auto kept = model->gradient(*batch(), options);
        options.recompute = true;
        const auto again = model->gradient(*batch(), options);
        CHECK(kept.loss == again.loss);
        CHECK(same_bits(*kept.gradient, *again.gradient));
      }
    }
}

TEST("decoder: Gauss–Newton's products are symmetric and nowhere negative") {
  for (const auto& d : decoder_descriptions()) {
    const auto model = make(d, at::kDouble, at::kDouble);
    const auto a = random_vector(model->layout(), 5), b = random_vector(model->layout(), 6);
    Curvature curvature(model, batch(), {curvature::Operator::gauss_newton, 0, true});
    const auto ca = curvature.product(*a, {}).product, cb = curvature.product(*b, {}).product;
    CHECK_CLOSE(a->dot(*cb) / b->dot(*ca), 1, 1e-9);
    CHECK(a->dot(*ca) > 0 && b->dot(*cb) > 0);
  }
}

TEST("decoder: the loss of θ − ηΔ has the same bits in both modes and of a model that is there, the weights stay") {
  for (const auto& d : decoder_descriptions())
    for (const auto& [dtype, compute] :
         {std::pair{at::kDouble, at::kDouble}, {at::kFloat, at::kFloat}, {at::kFloat, at::kBFloat16}}) {
      const auto model = make(d, dtype, compute);
      const auto before = copy_weights(*model);
      const auto direction = random_vector(model->layout(), 3, 0.5);
      Perturbation perturbation{direction, 0.17, PerturbationMode::view};
      const double view = model->loss(*batch(), &perturbation, {}).loss;
      perturbation.mode = PerturbationMode::in_place;
      CHECK_CLOSE(model->loss(*batch(), &perturbation, {}).loss, view, 0);
      CHECK(same_weights(*model, before));
      for (size_t i = 0; i < before.size(); i++) model->weights_to_change()[i].sub_((*direction)[i].mul(0.17));
      CHECK_CLOSE(model->loss(*batch(), nullptr, {}).loss, view, 0);
      CHECK_CLOSE(model->gradient(*batch(), {}).loss, view, 0);
    }
}

TEST("decoder: what comes later changes no loss before it, nor does what a window has left behind") {
  auto d = llama();
  d.attention_kinds[0].window = 2;
  d.layers = {0};
  const auto model = make(d, at::kDouble, at::kDouble);
  at::Tensor ids = batch()->inputs().narrow(0, 0, 1).clone(), labels = ids.clone().fill_(Batch::ignored);
  labels[0][3] = 1;
  const auto loss = [&](int64_t place, int64_t id) {
    at::Tensor changed = ids.clone();
    changed[0][place] = id;
    return model->loss(*Batch::tokens(changed, labels), nullptr, {}).loss;
  };
  for (const int64_t place : {0, 1, 4}) CHECK_CLOSE(loss(place, 1), loss(place, 2), 0);
  for (const int64_t place : {2, 3}) CHECK(loss(place, 1) != loss(place, 2));
}

TEST("decoder: each micro-batch has an auxiliary loss of its own, by its share of the labels") {
  const auto model = make(mixture(llama(), false, 0.5), at::kDouble, at::kDouble), without = make(mixture(llama(), false), at::kDouble, at::kDouble);
  PassOptions one;
  one.micro_batch = 1;
  double sum = 0;
  std::vector<double> gradient(numbers(*model->gradient(*batch(), one).gradient).size(), 0.0);
  for (int64_t row = 0; row < batch()->rows(); row++) {
    const auto part = batch()->part(row, 1);
    const auto of_part = model->gradient(*part, {});
    const double share = static_cast<double>(part->count()) / static_cast<double>(batch()->count());
    sum += share * of_part.loss;
    const auto g = numbers(*of_part.gradient);
    for (size_t i = 0; i < g.size(); i++) gradient[i] += share * g[i];
  }
  CHECK_CLOSE(model->loss(*batch(), nullptr, one).loss, sum, 1e-14);
  CHECK_CLOSE(model->gradient(*batch(), one).loss, sum, 1e-14);
  CHECK_CLOSE(relative_distance(numbers(*model->gradient(*batch(), one).gradient), gradient), 0, 1e-13);
  // At least the coefficient times the experts of a token: where they are equally busy.
  CHECK(model->loss(*batch(), nullptr, {}).loss - without->loss(*batch(), nullptr, {}).loss > 0.5);
}

TEST("decoder: adapters are the sum of the weight and their product") {
  for (const auto& plain : {llama(), granite(neox())}) {
    const auto d = adapted(plain);
    auto model = make(d, at::kDouble, at::kDouble), merged = make(plain, at::kDouble, at::kDouble);
    const auto place = [](const Model& of, const std::string& name) {
      for (size_t i = 0; i < of.layout()->size(); i++)
        if (of.layout()->parameters[i].name == name) return i;
      throw std::out_of_range(name);
    };
    auto& into = merged->weights_to_change();
    for (size_t i = 0; i < into.size(); i++) into[i].copy_(model->parameter(place(*model, merged->layout()->parameters[i].name)));
    for (const auto& [module, rank, scale] : d.adapters) {
      const at::Tensor a = model->parameter(place(*model, module + ".lora_A.weight")), b = model->parameter(place(*model, module + ".lora_B.weight"));
      CHECK(a.size(0) == rank && b.size(1) == rank);
      into[place(*merged, module + ".weight")].add_(b.mm(a), scale);
    }
    CHECK_CLOSE(model->loss(*batch(), nullptr, {}).loss, merged->loss(*batch(), nullptr, {}).loss, 1e-12);
  }
}

TEST("decoder: adapters of no projection, two of one, and what is drawn where no file has it") {
  auto d = llama();
  d.adapters = {{"lm_head", 1, 1}};
  CHECK_CODE(make_decoder(d), "ERR_OUT_OF_RANGE");
  d = adapted(llama());
  d.adapters.push_back(d.adapters.front());
  CHECK_CODE(make_decoder(d), "ERR_OUT_OF_RANGE");
  Model model(make_decoder(adapted(llama())), at::kFloat, at::kFloat);
  model.load(std::vector<FileTensor>(model.layout()->size()), Initialization::normal, 3);
  for (size_t i = 0; i < model.layout()->size(); i++) {
    const auto& [name, shape] = model.layout()->parameters[i];
    if (name.ends_with("lora_B.weight")) CHECK(model.parameter(i).count_nonzero().item<int64_t>() == 0);
    if (!name.ends_with("lora_A.weight")) continue;
    const double largest = model.parameter(i).abs().max().item<double>(), bound = 1 / std::sqrt(static_cast<double>(shape[1]));
    CHECK(largest > 0.3 * bound && largest <= bound);
  }
}
