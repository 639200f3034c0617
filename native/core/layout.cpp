#include "layout.hpp"

#include <c10/util/accumulate.h>

#include <algorithm>

#include "errors.hpp"
#include "ranks/shards.hpp"

namespace critical_sharpness {

int64_t ParameterSpec::numel() const { return c10::multiply_integers(shape); }

std::optional<Extent> Layout::run(size_t parameter) const { return shards ? shards->run(parameter) : std::nullopt; }

int64_t Layout::local_numel(size_t parameter) const {
  const auto here = run(parameter);
  return here ? here->length : parameters[parameter].numel();
}

std::vector<int64_t> Layout::local_shape(size_t parameter) const {
  const auto here = run(parameter);
  return here ? std::vector{here->length} : parameters[parameter].shape;
}

int64_t Layout::byte_length() const {
  int64_t numbers = 0;
  for (size_t i = 0; i < size(); i++) numbers += local_numel(i);
  return numbers * static_cast<int64_t>(c10::elementSize(dtype));
}

bool Layout::matches(const Layout& other) const {
  return dtype == other.dtype && device == other.device && group == other.group &&
         std::equal(parameters.begin(), parameters.end(), other.parameters.begin(), other.parameters.end(),
                    [](const ParameterSpec& a, const ParameterSpec& b) { return a.name == b.name && a.shape == b.shape; });
}

at::Tensor copied_run(const at::Tensor& whole, const Extent& run) {
  return whole.view({-1}).narrow(0, run.start, run.length).clone();
}

void require_same_layout(const Layout& expected, const Layout& received, const char* what) {
  if (&expected == &received || expected.matches(received)) return;
  auto describe = [](const Layout& l) {
    return std::to_string(l.size()) + " parameters in " + (l.dtype == at::kDouble ? "float64" : "float32") + " on " + l.device.str();
  };
  for (size_t i = 0; i < std::min(expected.size(), received.size()); i++) {
    const auto &a = expected.parameters[i], &b = received.parameters[i];
    if (a.name != b.name || a.shape != b.shape)
      reject_mismatch("Expected the parameters of the same model for " + std::string(what) +
                      " but received one that differs at \"" + b.name + "\" (the model has \"" + a.name + "\")");
  }
  reject_mismatch("Expected " + describe(expected) + " for " + what + " but received " + describe(received));
}

}  // namespace critical_sharpness
