#include "check.hpp"
#include "naive.hpp"
#include "support.hpp"

using namespace critical_sharpness;
using namespace critical_sharpness::test;

namespace {

struct Case {
  std::shared_ptr<const Batch> batch;
  Model model;
  NaiveLoss naive;

  Case(const Gpt2Description& d, std::shared_ptr<const Batch> b, at::ScalarType dtype, at::ScalarType compute, double scale = 0.4)
      : batch(std::move(b)), model(make_gpt2(d), dtype, compute), naive(naive_gpt2(d, *batch)) {
    randomize(model, 2, scale);
  }
};

Gpt2Description small(bool tied, Activation activation = Activation::gelu_tanh) {
  Gpt2Description d;
  d.vocabulary_size = 7;
  d.context_length = 5;
  d.width = 4;
  d.layers = 2;
  d.heads = 2;
  d.inner_width = 6;
  d.activation = activation;
  d.tied = tied;
  return d;
}

std::vector<Gpt2Description> descriptions() {
  auto one_head = small(true, Activation::gelu);
  one_head.heads = 1;
  one_head.norm_epsilon = 0.1;
  auto shallow = small(true);
  shallow.layers = 1;
  shallow.heads = 4;
  return {small(true), small(false), one_head, shallow};
}

const auto batches = [] { return std::vector{token_batch(3, 4, 7, 1), token_batch(2, 5, 7, 2, 3), token_batch(1, 1, 7, 3)}; };

}  // namespace

TEST("gpt2: loss against plain loops, in float64, float32 and bfloat16") {
  for (const auto& d : descriptions())
    for (const auto& batch : batches()) {
      Case f64(d, batch, at::kDouble, at::kDouble), f32(d, batch, at::kFloat, at::kFloat), bf16(d, batch, at::kFloat, at::kBFloat16);
      const double exact = f64.naive(naive_weights(f64.model));
      CHECK_CLOSE(f64.model.loss(*batch, nullptr, {}).loss, exact, 1e-13 * exact);
      CHECK_CLOSE(f32.model.loss(*batch, nullptr, {}).loss, exact, 2e-6 * exact);
      CHECK_CLOSE(bf16.model.loss(*batch, nullptr, {}).loss, exact, 3e-2 * exact);
    }
}

TEST("gpt2: gradient against central differences of plain loops, tied and untied") {
  for (const auto& d : descriptions()) {
    const auto batch = batches()[1];
    Case f64(d, batch, at::kDouble, at::kDouble), f32(d, batch, at::kFloat, at::kFloat), bf16(d, batch, at::kFloat, at::kBFloat16);
    const auto exact = naive_gradient(f64.naive, f64.model);
    const auto received = f64.model.gradient(*batch, {});
    CHECK_CLOSE(relative_distance(flat(*received.gradient), exact), 0, 1e-8);
    CHECK_CLOSE(received.loss, f64.model.loss(*batch, nullptr, {}).loss, 0);
    CHECK_CLOSE(relative_distance(flat(*f32.model.gradient(*batch, {}).gradient), exact), 0, 1e-5);
    CHECK_CLOSE(relative_distance(flat(*bf16.model.gradient(*batch, {}).gradient), exact), 0, 8e-2);
  }
}

TEST("gpt2: the loss of θ − ηΔ against plain loops, the same bits in both modes and of a model that is there") {
  for (const auto& d : descriptions())
    for (const auto& [dtype, compute, tolerance] :
         {std::tuple{at::kDouble, at::kDouble, 1e-12}, {at::kFloat, at::kFloat, 5e-6}, {at::kFloat, at::kBFloat16, 5e-2}}) {
      Case c(d, batches()[0], dtype, compute);
      const auto before = copy_weights(c.model);
      const auto direction = random_vector(c.model.layout(), 3, 0.5);
      const double learning_rate = 0.17;
      Perturbation perturbation{direction, learning_rate, PerturbationMode::view};
      const double view = c.model.loss(*c.batch, &perturbation, {}).loss;
      perturbation.mode = PerturbationMode::in_place;
      CHECK_CLOSE(c.model.loss(*c.batch, &perturbation, {}).loss, view, 0);
      CHECK(same_weights(c.model, before));
      const double exact = c.naive(naive_moved(c.model, *direction, learning_rate));
      CHECK_CLOSE(view, exact, tolerance * exact);
      // A tied weight is moved once: the same as a model whose weights are θ − ηΔ.
      for (size_t i = 0; i < before.size(); i++)
        c.model.weights_to_change()[i].sub_((*direction)[i].mul(learning_rate));
      CHECK_CLOSE(c.model.loss(*c.batch, nullptr, {}).loss, view, 0);
    }
}

TEST("gpt2: logits in chunks of tokens give what one chunk gives") {
  // 128 tokens are held at once of so large a vocabulary: three rows of 100 are three chunks, a row alone is one.
  auto d = small(true);
  d.vocabulary_size = 70'000;
  d.context_length = 100;
  d.layers = 1;
  for (const bool tied : {true, false}) {
    d.tied = tied;
    Case c(d, token_batch(3, 100, d.vocabulary_size, 4, 7), at::kFloat, at::kFloat);
    const auto whole = c.model.gradient(*c.batch, {});
    double sum = 0;
    std::vector<double> gradient;
    for (int64_t row = 0; row < 3; row++) {
      const auto one = Batch::tokens(c.batch->inputs().narrow(0, row, 1), c.batch->targets().narrow(0, row, 1));
      const double share = static_cast<double>(one->count()) / static_cast<double>(c.batch->count());
      const auto part = c.model.gradient(*one, {});
      sum += share * part.loss;
      const auto values = flat(*part.gradient);
      gradient.resize(values.size(), 0.0);
      for (size_t i = 0; i < values.size(); i++) gradient[i] += share * values[i];
    }
    CHECK_CLOSE(whole.loss, sum, 1e-6 * sum);
    CHECK_CLOSE(c.model.loss(*c.batch, nullptr, {}).loss, sum, 1e-6 * sum);
    CHECK_CLOSE(relative_distance(flat(*whole.gradient), gradient), 0, 1e-5);
  }
}

TEST("gpt2: micro-batches of every size give the same loss and gradient, with labels that do not count anywhere") {
  for (const bool tied : {true, false}) {
    // Rows with different numbers of labels that count; the second has none.
    at::Tensor labels = token_batch(4, 5, 7, 5)->targets().clone();
    labels[1].fill_(Batch::ignored);
    labels[2][0].fill_(Batch::ignored);
    Case c(small(tied), Batch::tokens(token_batch(4, 5, 7, 6)->inputs(), labels), at::kDouble, at::kDouble);
    const double whole = c.naive(naive_weights(c.model));
    const auto gradient = flat(*c.model.gradient(*c.batch, {}).gradient);
    if (tied) CHECK_CLOSE(relative_distance(gradient, naive_gradient(c.naive, c.model)), 0, 1e-8);
    for (const int64_t size : {1, 2, 3, 4, 5}) {
      PassOptions options;
      options.micro_batch = size;
      CHECK_CLOSE(c.model.loss(*c.batch, nullptr, options).loss, whole, 1e-13 * whole);
      CHECK_CLOSE(relative_distance(flat(*c.model.gradient(*c.batch, options).gradient), gradient), 0, 1e-13);
    }
  }
}

TEST("gpt2: what comes later in a sequence changes no loss before it") {
  Case c(small(true), token_batch(1, 5, 7, 7), at::kDouble, at::kDouble);
  at::Tensor labels = c.batch->targets().clone(), ids = c.batch->inputs().clone();
  labels.narrow(1, 2, 3).fill_(Batch::ignored);
  const double before = c.model.loss(*Batch::tokens(ids.clone(), labels), nullptr, {}).loss;
  ids.narrow(1, 2, 3).fill_(0);
  CHECK_CLOSE(c.model.loss(*Batch::tokens(ids, labels), nullptr, {}).loss, before, 0);
}
