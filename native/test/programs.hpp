#pragma once
// Programs that tests write down.
#include <string>
#include <vector>

#include "model.hpp"
#include "network/program/description.hpp"
#include "support.hpp"

namespace critical_sharpness::test {

using namespace program;

/// Writes a graph a node at a time.
class Writer {
 public:
  Slot input() { return add_input(graph_.slots++); }
  /// A node with one result.
  Slot operator()(const std::string& target, std::vector<ArgumentDescription> arguments) {
    const Slot out = graph_.slots++;
    graph_.nodes.push_back({target, "model.py, line " + std::to_string(graph_.nodes.size() + 1), std::move(arguments), {{false, {out}}}});
    return out;
  }
  /// One of an operator of aten, whose arguments have these names.
  Slot aten(const std::string& name, std::vector<ArgumentDescription> arguments) {
    return (*this)("torch.ops.aten." + name, std::move(arguments));
  }
  void outputs(std::vector<Slot> slots) { graph_.outputs = std::move(slots); }
  GraphDescription graph() const { return graph_; }
  GraphDescription& change() { return graph_; }

 private:
  Slot add_input(Slot slot) {
    graph_.inputs.push_back(slot);
    return slot;
  }
  GraphDescription graph_;
};

inline SlotReference of(Slot slot) { return {slot}; }

/// A program of parameters p0 [8, 5], p1 [8], p2 [3, 8], p3 [3], and inputs x [rows, 5] and y [rows, 3], whose graph `body` writes.
struct Built {
  ProgramDescription program;
  Writer write;
  std::vector<Slot> p;
  Slot x = -1, y = -1;

  explicit Built(at::ScalarType dtype = at::kDouble) {
    program.parameters = {{"p0", {8, 5}}, {"p1", {8}}, {"p2", {3, 8}}, {"p3", {3}}};
    for (size_t i = 0; i < 4; i++) {
      p.push_back(write.input());
      program.feeds.push_back({Feed::Kind::parameter, i});
    }
    x = write.input(), y = write.input();
    program.feeds.push_back({Feed::Kind::input, 0});
    program.feeds.push_back({Feed::Kind::input, 1});
    program.symbols = {{1, INT64_MAX}};
    program.inputs = {{"x", dtype, {{0, 0}, {5}}}, {"y", dtype, {{0, 0}, {3}}}};
  }
  Slot store(const at::Tensor& tensor) {
    program.feeds.push_back({Feed::Kind::stored, program.stored.size()});
    program.stored.push_back(tensor);
    return write.input();
  }
  Slot hidden() { return write.aten("tanh.default", {{"self", of(write.aten("linear.default", {{"input", of(x)}, {"weight", of(p[0])}, {"bias", of(p[1])}}))}}); }
  Slot predicted(Slot from) { return write.aten("linear.default", {{"input", of(from)}, {"weight", of(p[2])}, {"bias", of(p[3])}}); }
  Slot error(Slot from) { return write.aten("mse_loss.default", {{"self", of(from)}, {"target", of(y)}}); }

  std::shared_ptr<Model> model(Slot loss, at::ScalarType dtype = at::kDouble) {
    if (write.graph().outputs.empty()) write.outputs({loss});
    program.graph = write.graph();
    auto made = std::make_shared<Model>(make_program(program), dtype, dtype);
    randomize(*made, 3, 0.8);
    return made;
  }
};

inline std::shared_ptr<const Batch> named(const Batch& examples) { return Batch::named({{"x", examples.inputs()}, {"y", examples.targets()}}); }

/// The loss of a program whose graph `body` writes between hidden numbers and the prediction.
template <class Body>
std::shared_ptr<Model> with(const Body& body) {
  Built b;
  const Slot loss = b.error(b.predicted(body(b, b.hidden())));
  return b.model(loss);
}

}  // namespace critical_sharpness::test
