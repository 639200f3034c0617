#pragma once
// The models once more, from their papers, in float64 with plain loops and nothing of libtorch's: what core is tested against.
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "batch.hpp"
#include "gpt2.hpp"
#include "model.hpp"
#include "network/mlp.hpp"

namespace critical_sharpness::test {

/// Parameters by name, row-major.
using NaiveWeights = std::map<std::string, std::vector<double>>;
NaiveWeights naive_weights(const Model& model);
/// θ − ηΔ.
NaiveWeights naive_moved(const Model& model, const ParameterVector& direction, double learning_rate);

using NaiveLoss = std::function<double(const NaiveWeights&)>;
NaiveLoss naive_mlp(const MlpDescription& description, const Batch& batch);
NaiveLoss naive_gpt2(const Gpt2Description& description, const Batch& batch);

/// Central differences (L(θ + h) − L(θ − h)) / 2h of every weight, in the layout's order.
std::vector<double> naive_gradient(const NaiveLoss& loss, const Model& model, double h = 1e-5);
/// A vector's numbers one after the other; undefined tensors are zeros.
std::vector<double> flat(const ParameterVector& vector);

}  // namespace critical_sharpness::test
