#include "naive.hpp"

#include <algorithm>
#include <cmath>

#include "support.hpp"

namespace critical_sharpness::test {
namespace {

using Row = std::vector<double>;

double activated(double x, Activation activation) {
  const double pi = std::acos(-1.0);
  switch (activation) {
    case Activation::gelu: return x * (1 + std::erf(x / std::sqrt(2.0))) / 2;
    case Activation::gelu_tanh: return x / 2 * (1 + std::tanh(std::sqrt(2 / pi) * (x + 0.044715 * x * x * x)));
    case Activation::relu: return std::max(x, 0.0);
    case Activation::silu: return x / (1 + std::exp(-x));
    case Activation::tanh: return std::tanh(x);
  }
  return 0;
}

/// y = Wx + b; `transposed`: W is stored [in, out].
Row affine(const Row& x, const Row& w, const Row& b, bool transposed) {
  Row y = b;
  for (size_t o = 0; o < b.size(); o++)
    for (size_t i = 0; i < x.size(); i++) y[o] += x[i] * (transposed ? w[i * b.size() + o] : w[o * x.size() + i]);
  return y;
}

double cross_entropy(const Row& logits, int64_t target) {
  const double most = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const double z : logits) sum += std::exp(z - most);
  return most + std::log(sum) - logits[static_cast<size_t>(target)];
}

Row layer_norm(const Row& x, const Row& w, const Row& b, double epsilon) {
  double mean = 0, variance = 0;
  for (const double v : x) mean += v / static_cast<double>(x.size());
  for (const double v : x) variance += (v - mean) * (v - mean) / static_cast<double>(x.size());
  Row y(x.size());
  for (size_t i = 0; i < x.size(); i++) y[i] = (x[i] - mean) / std::sqrt(variance + epsilon) * w[i] + b[i];
  return y;
}

/// Causal attention of one sequence: rows of queries, keys and values side by side.
std::vector<Row> attention(const std::vector<Row>& qkv, size_t width, size_t heads) {
  const size_t size = width / heads;
  std::vector<Row> out(qkv.size(), Row(width, 0.0));
  for (size_t head = 0; head < heads; head++)
    for (size_t t = 0; t < qkv.size(); t++) {
      Row scores(t + 1, 0.0);
      for (size_t s = 0; s <= t; s++) {
        for (size_t k = 0; k < size; k++) scores[s] += qkv[t][head * size + k] * qkv[s][width + head * size + k];
        scores[s] /= std::sqrt(static_cast<double>(size));
      }
      const double most = *std::max_element(scores.begin(), scores.end());
      double sum = 0;
      for (double& s : scores) sum += s = std::exp(s - most);
      for (size_t s = 0; s <= t; s++)
        for (size_t k = 0; k < size; k++) out[t][head * size + k] += scores[s] / sum * qkv[s][2 * width + head * size + k];
    }
  return out;
}

void add_to(Row& x, const Row& y) {
  for (size_t i = 0; i < x.size(); i++) x[i] += y[i];
}

/// Sum of the losses of one sequence.
double sequence_loss(const Gpt2Description& d, const NaiveWeights& w, const int64_t* ids, const int64_t* labels, size_t length) {
  const auto width = static_cast<size_t>(d.width), vocabulary = static_cast<size_t>(d.vocabulary_size);
  std::vector<Row> x(length, Row(width));
  const Row &wte = w.at("transformer.wte.weight"), &wpe = w.at("transformer.wpe.weight");
  for (size_t t = 0; t < length; t++)
    for (size_t i = 0; i < width; i++) x[t][i] = wte[static_cast<size_t>(ids[t]) * width + i] + wpe[t * width + i];
  for (int64_t n = 0; n < d.layers; n++) {
    const std::string block = "transformer.h." + std::to_string(n) + ".";
    const auto norm = [&](const Row& row, const std::string& name) {
      return layer_norm(row, w.at(block + name + ".weight"), w.at(block + name + ".bias"), d.norm_epsilon);
    };
    const auto project = [&](const Row& row, const std::string& name) {
      return affine(row, w.at(block + name + ".weight"), w.at(block + name + ".bias"), true);
    };
    std::vector<Row> qkv;
    for (const Row& row : x) qkv.push_back(project(norm(row, "ln_1"), "attn.c_attn"));
    const auto attended = attention(qkv, width, static_cast<size_t>(d.heads));
    for (size_t t = 0; t < length; t++) {
      add_to(x[t], project(attended[t], "attn.c_proj"));
      Row inner = project(norm(x[t], "ln_2"), "mlp.c_fc");
      for (double& v : inner) v = activated(v, d.activation);
      add_to(x[t], project(inner, "mlp.c_proj"));
    }
  }
  const Row& head = w.at(d.tied ? "transformer.wte.weight" : "lm_head.weight");
  double sum = 0;
  for (size_t t = 0; t < length; t++) {
    if (labels[t] == Batch::ignored) continue;
    const Row last = layer_norm(x[t], w.at("transformer.ln_f.weight"), w.at("transformer.ln_f.bias"), d.norm_epsilon);
    sum += cross_entropy(affine(last, head, Row(vocabulary, 0.0), false), labels[t]);
  }
  return sum;
}

}  // namespace

NaiveWeights naive_weights(const Model& model) {
  NaiveWeights weights;
  for (size_t i = 0; i < model.layout()->size(); i++)
    weights[model.layout()->parameters[i].name] = doubles_of(model.parameter(i));
  return weights;
}

NaiveWeights naive_moved(const Model& model, const ParameterVector& direction, double learning_rate) {
  NaiveWeights weights = naive_weights(model);
  for (size_t i = 0; i < direction.size(); i++) {
    if (!direction[i].defined()) continue;
    const auto delta = doubles_of(direction[i]);
    auto& weight = weights[model.layout()->parameters[i].name];
    for (size_t k = 0; k < weight.size(); k++) weight[k] -= learning_rate * delta[k];
  }
  return weights;
}

NaiveLoss naive_mlp(const MlpDescription& d, const Batch& batch) {
  return [d, inputs = doubles_of(batch.inputs()), targets = doubles_of(batch.targets()),
          rows = static_cast<size_t>(batch.rows())](const NaiveWeights& w) {
    double sum = 0;
    const size_t features = inputs.size() / rows, outputs = static_cast<size_t>(d.layer_sizes.back());
    for (size_t r = 0; r < rows; r++) {
      Row x(inputs.begin() + static_cast<std::ptrdiff_t>(r * features), inputs.begin() + static_cast<std::ptrdiff_t>((r + 1) * features));
      for (size_t n = 0; n + 1 < d.layer_sizes.size(); n++) {
        const std::string layer = "layers." + std::to_string(n);
        x = affine(x, w.at(layer + ".weight"), w.at(layer + ".bias"), false);
        if (n + 2 < d.layer_sizes.size())
          for (double& v : x) v = activated(v, d.activation);
      }
      if (d.loss == Loss::cross_entropy) sum += cross_entropy(x, static_cast<int64_t>(targets[r])) / static_cast<double>(rows);
      else
        for (size_t o = 0; o < outputs; o++) sum += std::pow(x[o] - targets[r * outputs + o], 2) / static_cast<double>(rows * outputs);
    }
    return sum;
  };
}

NaiveLoss naive_gpt2(const Gpt2Description& d, const Batch& batch) {
  return [d, ids = batch.inputs().to(at::kLong), labels = batch.targets().to(at::kLong)](const NaiveWeights& w) {
    const auto length = static_cast<size_t>(ids.size(1));
    const int64_t *id = ids.const_data_ptr<int64_t>(), *label = labels.const_data_ptr<int64_t>();
    double sum = 0;
    for (int64_t r = 0; r < ids.size(0); r++) sum += sequence_loss(d, w, id + r * ids.size(1), label + r * ids.size(1), length);
    return sum / static_cast<double>(std::count_if(label, label + labels.numel(), [](int64_t l) { return l != Batch::ignored; }));
  };
}

std::vector<double> naive_gradient(const NaiveLoss& loss, const Model& model, double h) {
  NaiveWeights weights = naive_weights(model);
  std::vector<double> gradient;
  for (const auto& p : model.layout()->parameters)
    for (double& weight : weights[p.name]) {
      const double kept = weight;
      weight = kept + h;
      const double above = loss(weights);
      weight = kept - h;
      const double below = loss(weights);
      weight = kept;
      gradient.push_back((above - below) / (2 * h));
    }
  return gradient;
}

std::vector<double> flat(const ParameterVector& vector) {
  std::vector<double> all;
  for (size_t i = 0; i < vector.size(); i++) {
    size_t count = 1;
    for (const int64_t n : vector.layout()->parameters[i].shape) count *= static_cast<size_t>(n);
    const auto part = vector[i].defined() ? doubles_of(vector[i]) : std::vector<double>(count, 0.0);
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

}  // namespace critical_sharpness::test
