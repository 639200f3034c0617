#include <algorithm>
#include <set>

#include "graph.hpp"

namespace critical_sharpness::program {
namespace {

/// The graph inputs whose memory a value may share.
using Roots = std::set<size_t>;

template <class Visit>
void for_each_slot(const Operand& operand, const Visit& visit) {
  if (operand.slot >= 0) visit(operand.slot);
  for (const Slot slot : operand.slots)
    if (slot >= 0) visit(slot);
}

template <class Visit>
void for_each_output(const Node& node, const Visit& visit) {
  for (const auto& output : node.outputs)
    for (const Slot slot : output.slots)
      if (slot >= 0) visit(slot);
}

/// Follows memory through a graph: roots of its outputs, from those of its inputs. `write` is told of every root that is written to.
class Memory {
 public:
  explicit Memory(std::function<void(size_t root, const Node& node)> write) : write_(std::move(write)) {}

  std::vector<Roots> operator()(const Graph& graph, const std::vector<Roots>& inputs) const {
    std::vector<Roots> of(static_cast<size_t>(graph.slots));
    for (size_t i = 0; i < graph.inputs.size(); i++) of[static_cast<size_t>(graph.inputs[i])] = inputs[i];
    for (const Node& node : graph.nodes) follow(node, of);
    std::vector<Roots> outputs;
    for (const Slot slot : graph.outputs) outputs.push_back(slot < 0 ? Roots() : of[static_cast<size_t>(slot)]);
    return outputs;
  }

 private:
  void follow(const Node& node, std::vector<Roots>& of) const {
    for (const size_t operand : node.writes)
      for_each_slot(node.operands[operand], [&](Slot slot) {
        for (const size_t root : of[static_cast<size_t>(slot)]) write_(root, node);
      });
    if (!node.graphs.empty()) return follow_graphs(node, of);
    if (!node.may_alias) return for_each_output(node, [&](Slot slot) { of[static_cast<size_t>(slot)].clear(); });
    Roots all;
    for (const Operand& operand : node.operands)
      for_each_slot(operand, [&](Slot slot) { all.insert(of[static_cast<size_t>(slot)].begin(), of[static_cast<size_t>(slot)].end()); });
    for_each_output(node, [&](Slot slot) { of[static_cast<size_t>(slot)] = all; });
  }

  void follow_graphs(const Node& node, std::vector<Roots>& of) const {
    // What decides and switches comes first, what is passed on last.
    std::vector<Roots> all, passed;
    for (const Operand& operand : node.operands) {
      if (operand.kind == Operand::Kind::constant) all.emplace_back();
      for_each_slot(operand, [&](Slot slot) { all.push_back(of[static_cast<size_t>(slot)]); });
    }
    std::vector<Roots> results;
    for (const Graph& graph : node.graphs) {
      passed.assign(all.end() - static_cast<std::ptrdiff_t>(graph.inputs.size()), all.end());
      const auto outputs = (*this)(graph, passed);
      results.resize(std::max(results.size(), outputs.size()));
      for (size_t i = 0; i < outputs.size(); i++) results[i].insert(outputs[i].begin(), outputs[i].end());
    }
    size_t next = 0;
    for_each_output(node, [&](Slot slot) { of[static_cast<size_t>(slot)] = next < results.size() ? results[next++] : Roots(); });
  }

  std::function<void(size_t, const Node&)> write_;
};

}  // namespace

std::vector<bool> written_inputs(const Graph& graph, const std::vector<bool>& is_parameter) {
  std::vector<bool> written(graph.inputs.size());
  const Memory memory([&](size_t root, const Node& node) {
    if (is_parameter[root]) reject_program("a loss that leaves its parameters alone", node.name + " on one of them");
    written[root] = true;
  });
  std::vector<Roots> inputs;
  for (size_t i = 0; i < graph.inputs.size(); i++) inputs.push_back({i});
  memory(graph, inputs);
  return written;
}

void find_last_reads(Graph& graph) {
  std::vector<bool> read(static_cast<size_t>(graph.slots));
  for (const Slot slot : graph.outputs)
    if (slot >= 0) read[static_cast<size_t>(slot)] = true;
  for (auto node = graph.nodes.rbegin(); node != graph.nodes.rend(); ++node) {
    node->last_reads.clear();
    const auto visit = [&](Slot slot) {
      if (read[static_cast<size_t>(slot)]) return;
      read[static_cast<size_t>(slot)] = true;
      node->last_reads.push_back(slot);
    };
    for_each_output(*node, visit);
    for (const Operand& operand : node->operands) for_each_slot(operand, visit);
  }
  graph.unread.clear();
  for (const Slot slot : graph.inputs)
    if (!read[static_cast<size_t>(slot)]) graph.unread.push_back(slot);
}

Graph only_for(const Graph& graph, size_t output, const std::vector<bool>& may_not_read) {
  Graph part{graph.slots, graph.inputs, {graph.outputs.at(output)}};
  std::vector<bool> needed(static_cast<size_t>(graph.slots));
  if (part.outputs[0] >= 0) needed[static_cast<size_t>(part.outputs[0])] = true;
  for (auto node = graph.nodes.rbegin(); node != graph.nodes.rend(); ++node) {
    // What writes may change a value that is needed, however it is called.
    bool wanted = !node->writes.empty() && std::any_of(node->writes.begin(), node->writes.end(), [&](size_t operand) {
      bool any = false;
      for_each_slot(node->operands[operand], [&](Slot slot) { any = any || needed[static_cast<size_t>(slot)]; });
      return any;
    });
    for_each_output(*node, [&](Slot slot) { wanted = wanted || needed[static_cast<size_t>(slot)]; });
    if (!wanted) continue;
    for (const Operand& operand : node->operands) for_each_slot(operand, [&](Slot slot) { needed[static_cast<size_t>(slot)] = true; });
    part.nodes.push_back(*node);
  }
  std::reverse(part.nodes.begin(), part.nodes.end());
  for (size_t i = 0; i < graph.inputs.size(); i++)
    if (may_not_read[i] && needed[static_cast<size_t>(graph.inputs[i])])
      reject_program("a weight, the second of forward's results, that the inputs alone determine", "one that depends on parameters");
  find_last_reads(part);
  return part;
}

}  // namespace critical_sharpness::program
