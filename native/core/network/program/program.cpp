#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/grad_mode.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <map>

#include "errors.hpp"
#include "graph.hpp"
#include "run.hpp"

namespace critical_sharpness::program {
namespace {

/// While it lives, random numbers are drawn from a seed.
class Seeded {
 public:
  explicit Seeded(uint64_t seed) : generator_(at::detail::getDefaultCPUGenerator()) {
    const std::scoped_lock lock(generator_.mutex());
    before_ = generator_.get_state();
    generator_.set_current_seed(seed);
  }
  ~Seeded() {
    const std::scoped_lock lock(generator_.mutex());
    generator_.set_state(before_);
  }
  Seeded(const Seeded&) = delete;
  Seeded& operator=(const Seeded&) = delete;

 private:
  at::Generator generator_;
  at::Tensor before_;
};

std::string text_of(at::IntArrayRef sizes) {
  std::string text;
  for (const int64_t size : sizes) text += (text.empty() ? "[" : ", ") + std::to_string(size);
  return text.empty() ? "[]" : text + "]";
}

class ProgramNetwork final : public Network {
 public:
  explicit ProgramNetwork(ProgramDescription description)
      : d_(std::move(description)), graph_(bind(d_.graph, {d_.dropout_seed.has_value(), d_.device})) {
    check_feeds();
    std::vector<bool> is_parameter;
    for (const Feed& feed : d_.feeds) is_parameter.push_back(feed.kind == Feed::Kind::parameter);
    written_ = written_inputs(graph_, is_parameter);
    if (d_.reduction == Reduction::sum_and_weight) weight_ = only_for(graph_, 1, is_parameter);
    const bool moves = std::find(written_.begin(), written_.end(), true) != written_.end();
    if (moves && d_.reduction == Reduction::mean_of_rows)
      reject_program("rows that do not depend on one another for the reduction \"mean-of-rows\"",
                     "running statistics that a pass changes: export the model in eval mode, or leave the reduction away");
    rows_ = d_.inputs.empty() ? -1 : first_symbol(d_.inputs.front());
    for (const auto& input : d_.inputs)
      if (first_symbol(input) != rows_) rows_ = -1;
  }

  std::vector<ParameterSpec> parameters() const override { return d_.parameters; }
  InitialValue initial_value(size_t, const std::string& scheme) const override {
    if (scheme == "zeros") return {};
    reject_range("Expected the weights that come with it for a program but received an initialisation");
  }

  void check(const Batch& batch) const override {
    if (batch.kind() != Batch::Kind::named)
      reject_type("Expected a batch of named tensors for a program but received one of tokens or examples: Batch.named takes them by the "
                  "names of forward's arguments");
    for (const auto& [name, tensor] : batch.named())
      if (std::none_of(d_.inputs.begin(), d_.inputs.end(), [&](const InputDescription& input) { return input.name == name; }))
        reject_range("Expected the tensors " + input_names() + " for the batch but received also \"" + name + "\"");
    std::vector<int64_t> sizes(d_.symbols.size(), -1);
    for (const auto& input : d_.inputs) check_input(input, batch, sizes);
  }

  double normalizer(const Batch& batch) const override {
    if (d_.reduction == Reduction::loss) return 1;
    if (d_.reduction == Reduction::mean_of_rows) return static_cast<double>(batch.rows());
    const at::NoGradGuard constant;
    const double total = number(outputs(weight_, nullptr, *batch.on(d_.device)).at(0), 0).item<double>();
    if (!(total > 0)) reject_range("Expected a positive weight, the second of forward's results, for the batch but received " + std::to_string(total));
    return total;
  }

  int64_t numbers_held(const Batch&) const override { return 0; }

  size_t buffer_count() const override { return d_.stored.size(); }
  at::Tensor buffer(size_t index) const override { return d_.stored.at(index); }
  void move_buffers(ParameterView& view, const Batch& batch, const Cancellation& cancel) override {
    const c10::InferenceMode off(false);  // later passes may be differentiated
    const at::NoGradGuard constant;
    auto inputs = values_for(batch);
    outputs(graph_, &view, inputs, cancel);
    for (size_t i = 0; i < d_.feeds.size(); i++)
      if (written_[i] && d_.feeds[i].kind == Feed::Kind::stored) d_.stored[d_.feeds[i].index] = inputs[i].value.toTensor();
  }
  bool adds_over_rows() const override { return rows_ >= 0 && d_.reduction != Reduction::loss && !d_.dropout_seed; }
  int64_t least_rows() const override {
    return rows_ >= 0 ? std::max<int64_t>(1, d_.symbols[static_cast<size_t>(rows_)].least) : 1;
  }

  std::vector<at::Tensor> losses(ParameterView& view, const std::vector<Batch>& parts, const Cancellation& cancel) const override {
    std::vector<at::Tensor> sums;
    for (const Batch& part : parts) {
      const at::Tensor loss = number(outputs(graph_, &view, part, cancel).at(0), d_.reduction == Reduction::mean_of_rows ? part.rows() : 0);
      sums.push_back(loss);
    }
    return sums;
  }

 private:
  void check_feeds() const {
    if (d_.feeds.size() != graph_.inputs.size()) reject_program("what fills each of the graph's inputs", "another number");
    for (const Feed& feed : d_.feeds) {
      const size_t count = feed.kind == Feed::Kind::parameter ? d_.parameters.size() : feed.kind == Feed::Kind::stored ? d_.stored.size() : d_.inputs.size();
      if (feed.index >= count) reject_program("tensors that the program has for its inputs", "another one");
    }
    const size_t results = d_.reduction == Reduction::sum_and_weight ? 2 : 1;
    if (graph_.outputs.size() != results || graph_.outputs[0] < 0)
      reject_program(results == 2 ? "a sum and a weight as forward's results" : "the loss as forward's result", "others");
  }

  static int32_t first_symbol(const InputDescription& input) { return input.sizes.empty() ? -1 : input.sizes.front().symbol; }

  std::string input_names() const {
    std::string names;
    for (const auto& input : d_.inputs) names += (names.empty() ? "\"" : ", \"") + input.name + '"';
    return names;
  }

  void check_input(const InputDescription& input, const Batch& batch, std::vector<int64_t>& sizes) const {
    const auto& named = batch.named();
    const auto found = std::find_if(named.begin(), named.end(), [&](const auto& one) { return one.first == input.name; });
    if (found == named.end()) reject_range("Expected the tensors " + input_names() + " for the batch but received none for \"" + input.name + "\"");
    const at::Tensor& tensor = found->second;
    const std::string subject = " for \"" + input.name + "\" of the batch but received ";
    if (tensor.scalar_type() != input.dtype)
      reject_type(std::string("Expected ") + c10::toString(input.dtype) + subject + c10::toString(tensor.scalar_type()));
    if (tensor.dim() != static_cast<int64_t>(input.sizes.size()))
      reject_range("Expected " + std::to_string(input.sizes.size()) + " axes" + subject + "the shape " + text_of(tensor.sizes()));
    for (size_t axis = 0; axis < input.sizes.size(); axis++) {
      const Size& wanted = input.sizes[axis];
      const int64_t size = tensor.size(static_cast<int64_t>(axis));
      const std::string along = " along axis " + std::to_string(axis) + subject + std::to_string(size);
      if (wanted.symbol < 0) {
        if (size != wanted.fixed) reject_range("Expected a size of " + std::to_string(wanted.fixed) + along + ": the program was exported with it");
        continue;
      }
      const auto& [least, most] = d_.symbols[static_cast<size_t>(wanted.symbol)];
      if (size < least || size > most)
        reject_range("Expected a size of " + std::to_string(least) + (most == INT64_MAX ? " or more" : " to " + std::to_string(most)) + along +
                     (least == 2 && size == 1 ? ": programs are exported for two rows or more" : ""));
      int64_t& bound = sizes[static_cast<size_t>(wanted.symbol)];
      if (bound < 0) bound = size;
      if (size != bound) reject_range("Expected a size of " + std::to_string(bound) + ", as of the axes that it goes with," + along);
    }
  }

  /// What fills the graph's inputs: copies of what it writes to.
  std::vector<Value> values_for(const Batch& batch) const {
    std::vector<Value> values;
    for (size_t i = 0; i < d_.feeds.size(); i++) {
      const Feed& feed = d_.feeds[i];
      if (feed.kind == Feed::Kind::parameter) {
        values.push_back({{}, static_cast<int64_t>(feed.index)});
        continue;
      }
      const at::Tensor tensor = feed.kind == Feed::Kind::stored ? d_.stored[feed.index] : input_of(batch, d_.inputs[feed.index].name);
      values.push_back({written_[i] ? tensor.clone() : tensor});
    }
    return values;
  }

  std::vector<c10::IValue> outputs(const Graph& graph, ParameterView* view, const Batch& batch, const Cancellation& cancel = {}) const {
    return outputs(graph, view, values_for(batch), cancel);
  }

  /// `view` may be null for a graph that reads no parameters.
  std::vector<c10::IValue> outputs(const Graph& graph, ParameterView* view, std::vector<Value> values, const Cancellation& cancel) const {
    std::optional<Seeded> seeded;
    if (d_.dropout_seed) seeded.emplace(*d_.dropout_seed);
    Pass pass{view, cancel, {}};
    for (size_t i = 0; i < values.size(); i++)
      if (!written_[i] && values[i].value.isTensor() && values[i].value.toTensor().has_storage())
        pass.guarded.insert(values[i].value.toTensor().storage().unsafeGetStorageImpl());
    return run(graph, pass, std::move(values));
  }

  static at::Tensor input_of(const Batch& batch, const std::string& name) {
    for (const auto& [given, tensor] : batch.named())
      if (given == name) return tensor;
    return {};
  }

  /// The loss's sum in float64. `rows`: of how many rows it is the mean, or has a number each; 0: it is one number.
  static at::Tensor number(const c10::IValue& result, int64_t rows) {
    if (!result.isTensor() || !result.toTensor().defined()) reject_program("a tensor as the loss", "another value");
    const at::Tensor loss = result.toTensor();
    if (loss.is_complex() || loss.dim() > (rows > 0 ? 1 : 0) || (loss.dim() == 1 && loss.size(0) != rows))
      reject_program(rows > 0 ? "a loss that is a number, or a number for each of " + std::to_string(rows) + " rows," : "a loss that is one number",
                     "a tensor of shape " + text_of(loss.sizes()));
    if (loss.dim() == 1) return loss.sum(at::kDouble);
    const at::Tensor wide = loss.to(at::kDouble);
    return rows > 1 ? wide.mul(static_cast<double>(rows)) : wide;
  }

  ProgramDescription d_;
  Graph graph_, weight_;
  std::vector<bool> written_;
  int32_t rows_ = -1;  // the symbol that is the first size of all inputs; −1: they have no rows in common
};

}  // namespace
}  // namespace critical_sharpness::program

namespace critical_sharpness {

std::unique_ptr<Network> make_program(program::ProgramDescription description) {
  return std::make_unique<program::ProgramNetwork>(std::move(description));
}

}  // namespace critical_sharpness
