// Programs of operators: what they compute, what they leave alone, and what is refused.
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/autocast_mode.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include <map>
#include <set>

#include "check.hpp"
#include "curvature/curvature.hpp"
#include "network/program/description.hpp"
#include "network/program/graph.hpp"
#include "network/program/operators.hpp"
#include "programs.hpp"
#include "support.hpp"

using namespace critical_sharpness;
using namespace critical_sharpness::program;
using namespace critical_sharpness::test;

namespace {

std::shared_ptr<Model> closed_form() {
  auto model = std::make_shared<Model>(make_mlp({{5, 8, 3}, Activation::tanh, Loss::mse}), at::kDouble, at::kDouble);
  randomize(*model, 3, 0.8);
  return model;
}

const auto examples = example_batch(9, 5, 3, Loss::mse, 1);

}  // namespace

TEST("a program: loss, gradient, products and perturbations are those of the network that it writes down") {
  const auto other = closed_form(), model = with([](Built&, Slot h) { return h; });
  const auto batch = named(*examples);
  const auto v = random_vector(model->layout(), 4);
  const auto w = std::make_shared<ParameterVector>(other->layout(), std::vector<at::Tensor>{(*v)[0], (*v)[1], (*v)[2], (*v)[3]});
  const Perturbation moved{v, 0.3, PerturbationMode::view}, in_place{v, 0.3, PerturbationMode::in_place}, same{w, 0.3, PerturbationMode::view};
  CHECK_CLOSE(model->loss(*batch, nullptr, {}).loss, other->loss(*examples, nullptr, {}).loss, 1e-14);
  CHECK_CLOSE(model->loss(*batch, &moved, {}).loss, other->loss(*examples, &same, {}).loss, 1e-14);
  CHECK(model->loss(*batch, &moved, {}).loss == model->loss(*batch, &in_place, {}).loss);
  const auto a = model->gradient(*batch, {}).gradient, b = other->gradient(*examples, {}).gradient;
  const auto x = Curvature(model, batch, {}).product(*v, {}), y = Curvature(other, examples, {}).product(*w, {});
  CHECK_CLOSE(x.slope, y.slope, 1e-12);
  for (size_t i = 0; i < 4; i++) {
    CHECK(relative_distance(doubles_of((*a)[i]), doubles_of((*b)[i])) < 1e-13);
    CHECK(relative_distance(doubles_of((*x.product)[i]), doubles_of((*y.product)[i])) < 1e-12);
  }
}

TEST("a program whose loss is a mean of rows, a number for each, or a sum and a weight: micro-batches add up to it") {
  const auto batch = named(*examples);
  const double whole = with([](Built&, Slot h) { return h; })->loss(*batch, nullptr, {}).loss;
  const auto rows = [](Built& b) {
    const Slot squares = b.write.aten("mse_loss.default", {{"self", of(b.predicted(b.hidden()))}, {"target", of(b.y)}, {"reduction", int64_t{0}}});
    return b.write.aten("mean.dim", {{"self", of(squares)}, {"dim", Integers{{1}, {}}}});
  };
  for (const int kind : {0, 1, 2}) {
    Built b;
    b.program.reduction = kind == 2 ? Reduction::sum_and_weight : Reduction::mean_of_rows;
    Slot loss = kind == 0 ? b.error(b.predicted(b.hidden())) : rows(b);
    if (kind == 2) {
      const Slot weight = b.write.aten("sum.default", {{"self", of(b.write.aten("ones_like.default", {{"self", of(b.write.aten("select.int", {{"self", of(b.y)}, {"dim", int64_t{1}}, {"index", int64_t{0}}}))}}))}});
      loss = b.write.aten("sum.default", {{"self", of(loss)}});
      b.write.outputs({loss, weight});
    }
    const auto model = b.model(loss);
    const auto v = random_vector(model->layout(), 4);
    const auto gradient = model->gradient(*batch, {}).gradient;
    const auto product = Curvature(model, batch, {}).product(*v, {}).product;
    for (const int64_t size : {0, 2, 4}) {
      CHECK_CLOSE(model->loss(*batch, nullptr, {.micro_batch = size}).loss, whole, 1e-14);
      const auto part = model->gradient(*batch, {.micro_batch = size}).gradient;
      const auto again = Curvature(model, batch, {.micro_batch = size}).product(*v, {}).product;
      for (size_t i = 0; i < 4; i++) {
        CHECK(relative_distance(doubles_of((*part)[i]), doubles_of((*gradient)[i])) < 1e-13);
        CHECK(relative_distance(doubles_of((*again)[i]), doubles_of((*product)[i])) < 1e-12);
      }
    }
  }
}

TEST("a program of one number goes through at once, whatever the micro-batch") {
  const auto model = with([](Built&, Slot h) { return h; });
  const auto batch = named(*examples);
  CHECK(model->loss(*batch, nullptr, {.micro_batch = 2}).loss == model->loss(*batch, nullptr, {}).loss);
}

TEST("a program with a batch norm in training leaves its statistics alone, and cannot be taken in rows") {
  const auto batch = named(*examples);
  Built b;
  const at::Tensor mean = at::zeros({8}, at::kDouble), variance = at::ones({8}, at::kDouble);
  const at::Tensor kept_mean = mean.clone(), kept_variance = variance.clone();
  const Slot m = b.store(mean), v = b.store(variance);
  const Slot h = b.write.aten("batch_norm.default", {{"input", of(b.hidden())}, {"weight", std::monostate()}, {"bias", std::monostate()},
                                                     {"running_mean", of(m)}, {"running_var", of(v)}, {"training", true},
                                                     {"momentum", 0.1}, {"eps", 1e-5}, {"cudnn_enabled", true}});
  const Slot loss = b.error(b.predicted(h));
  const auto model = b.model(loss);
  const double first = model->loss(*batch, nullptr, {}).loss;
  const auto direction = model->gradient(*batch, {}).gradient;
  const Perturbation moved{direction, 0.1, PerturbationMode::view};
  CHECK(std::isfinite(model->loss(*batch, &moved, {}).loss));
  Curvature(model, batch, {}).product(*direction, {});
  CHECK(model->loss(*batch, nullptr, {}).loss == first);
  CHECK(same_bits(mean, kept_mean) && same_bits(variance, kept_variance));
  const auto version = model->version();
  model->move_buffers(*batch, {});
  CHECK(model->version() > version && same_bits(mean, kept_mean) && !same_bits(model->network().buffer(0), kept_mean));
  const auto once = doubles_of(model->network().buffer(0));
  model->move_buffers(*batch, {});
  const auto twice = doubles_of(model->network().buffer(0));
  for (size_t i = 0; i < 8; i++) CHECK_CLOSE(twice[i], 1.9 * once[i], 1e-14);  // 0.9·m + 0.1·mean, from 0
  CHECK(std::isfinite(model->gradient(*batch, {}).loss));
  b.program.reduction = Reduction::mean_of_rows;
  CHECK_CODE(make_program(b.program), "ERR_PROGRAM");
}

TEST("a program that writes to an input or a constant writes to a copy") {
  const auto batch = named(*examples);
  const at::Tensor kept = examples->inputs().clone();
  Built b;
  b.write.aten("mul_.Tensor", {{"self", of(b.write.aten("t.default", {{"self", of(b.x)}}))}, {"other", 2.0}});
  const auto model = b.model(b.error(b.predicted(b.hidden())));
  const double first = model->loss(*batch, nullptr, {}).loss;
  CHECK(model->loss(*batch, nullptr, {}).loss == first && same_bits(examples->inputs(), kept));
  CHECK(first != with([](Built&, Slot h) { return h; })->loss(*batch, nullptr, {}).loss);
}

TEST("a program that writes to a parameter is refused, through views, lists and sub-graphs too") {
  const auto refused = [](const auto& body) {
    Built b;
    body(b);
    const Slot loss = b.error(b.predicted(b.hidden()));
    b.write.outputs({loss});
    b.program.graph = b.write.graph();
    CHECK_CODE(make_program(b.program), "ERR_PROGRAM");
  };
  const auto double_it = [](Writer& write, Slot slot) { return write.aten("mul_.Tensor", {{"self", of(slot)}, {"other", 2.0}}); };
  refused([&](Built& b) { double_it(b.write, b.p[0]); });
  refused([&](Built& b) { double_it(b.write, b.write.aten("t.default", {{"self", of(b.p[0])}})); });
  refused([&](Built& b) { double_it(b.write, b.write.aten("dropout.default", {{"input", of(b.p[0])}, {"p", 0.5}, {"train", true}})); });
  refused([&](Built& b) { double_it(b.write, b.write.aten("reshape.default", {{"self", of(b.p[0])}, {"shape", Integers{{40}, {}}}})); });
  refused([&](Built& b) {
    Writer inner;
    const Slot in = inner.input();
    inner.outputs({double_it(inner, in)});
    b.write("torch.ops.higher_order.wrap_with_set_grad_enabled", {{"", false}, {"", std::make_shared<const GraphDescription>(inner.graph())}, {"", of(b.p[0])}});
  });
  refused([&](Built& b) {
    Writer inner;
    const Slot in = inner.input();
    inner.outputs({in});
    const Slot out = b.write("torch.ops.higher_order.wrap_with_set_grad_enabled",
                             {{"", false}, {"", std::make_shared<const GraphDescription>(inner.graph())}, {"", SlotList{{b.p[0]}}}});
    double_it(b.write, out);
  });
  refused([&](Built& b) {
    const auto writes = [&](bool does) {
      Writer inner;
      const Slot in = inner.input();
      inner.outputs({does ? double_it(inner, in) : in});
      return std::make_shared<const GraphDescription>(inner.graph());
    };
    b.write("torch.ops.higher_order.cond", {{"", true}, {"", writes(false)}, {"", writes(true)}, {"", SlotList{{b.p[1]}}}});
  });
  refused([&](Built& b) {
    b.write.change().nodes.push_back({"torch.ops.aten.broadcast_tensors.default", "", {{"tensors", SlotList{{b.p[0], b.p[0]}}}}, {{true, {b.write.change().slots, b.write.change().slots + 1}}}});
    b.write.change().slots += 2;
    double_it(b.write, b.write.graph().slots - 1);
  });
  refused([&](Built& b) {
    b.write.aten("batch_norm.default", {{"input", of(b.x)}, {"weight", std::monostate()}, {"bias", std::monostate()}, {"running_mean", of(b.p[1])},
                                        {"running_var", of(b.p[1])}, {"training", true}, {"momentum", 0.1}, {"eps", 1e-5}, {"cudnn_enabled", true}});
  });
}

TEST("what is not an operator that computes, or is called otherwise than it can be, is refused with its name") {
  const auto refused = [](const std::string& target, std::vector<ArgumentDescription> arguments, const std::string& named = "") {
    Built b;
    for (auto& argument : arguments)
      if (auto* slot = std::get_if<SlotReference>(&argument.value); slot && slot->slot < 0) slot->slot = b.x;
    b.write(target, std::move(arguments));
    b.write.outputs({b.error(b.predicted(b.hidden()))});
    b.program.graph = b.write.graph();
    CHECK_CODE(make_program(b.program), "ERR_PROGRAM");
    try {
      make_program(b.program);
    } catch (const InputError& error) {
      if (std::string(error.what()).find(named) == std::string::npos) fail(__FILE__, __LINE__, error.what());
    }
  };
  const ArgumentValue x = SlotReference{-1};
  refused("os.system", {{"command", std::string("true")}}, "os.system (model.py, line 1)");
  refused("torch.ops.aten.from_file.default", {{"filename", std::string("/etc/passwd")}}, "aten::from_file");
  refused("torch.ops.aten.save.default", {}, "aten::save");
  refused("torch.ops.aten.set_.source_Tensor", {{"self", x}, {"source", x}}, "aten::set_");
  refused("torch.ops.aten.resize_.default", {{"self", x}, {"size", Integers{{1}, {}}}}, "aten::resize_");
  refused("torch.ops.aten.add.out", {{"self", x}, {"other", x}, {"out", x}}, "aten::add");
  refused("torch.ops.aten.max_unpool2d.default", {{"self", x}, {"indices", x}, {"output_size", Integers{{1}, {}}}});
  refused("torch.ops.aten._foreach_mul_.Scalar", {{"self", SlotList{{4}}}, {"scalar", 2.0}}, "aten::_foreach_mul_");
  refused("torch.ops.quantized.linear.default", {{"X", x}}, "quantized::linear");
  refused("torch.ops.transformers.grouped_mm_fallback.default", {}, "transformers::grouped_mm_fallback");
  refused("torch.ops.aten.nothing_of_that_name.default", {}, "nothing_of_that_name");
  refused("torch.ops.aten", {});
  refused("", {});
  refused("torch.ops.higher_order.while_loop", {}, "while_loop");
  refused("torch.ops.aten.rand.default", {{"size", Integers{{2}, {}}}}, "pass the noise as an input");
  refused("torch.ops.aten.bernoulli.default", {{"self", x}});
  refused("torch.ops.aten.tanh.default", {}, "\"self\"");
  refused("torch.ops.aten.tanh.default", {{"self", x}, {"other", x}}, "\"other\"");
  refused("torch.ops.aten.tanh.default", {{"self", x}, {"self", x}}, "twice");
  refused("torch.ops.aten.tanh.default", {{"self", std::string("text")}});
  refused("torch.ops.aten.tanh.default", {{"self", std::monostate()}});
  refused("torch.ops.aten.tanh.default", {{"self", SlotReference{1000}}});
  refused("torch.ops.aten.sum.dim_IntList", {{"self", x}, {"dim", std::vector<bool>{true}}});
  refused("torch.ops.aten.sum.dim_IntList", {{"self", x}, {"dim", Integers{{0}, {-1, -1}}}});
  refused("torch.ops.aten.cat.default", {{"tensors", SlotList{{4, -1}}}});
  refused("torch.ops.aten.embedding.default", {{"weight", x}, {"indices", x}, {"sparse", true}}, "sparse");
  refused("torch.ops.higher_order.cond", {{"", true}, {"", true}, {"", true}});
  refused("torch.ops.higher_order.wrap_with_set_grad_enabled", {{"", true}});
}

TEST("a program that fails on a batch says where") {
  const auto batch = named(*examples);
  const auto fails = [&](const auto& body) {
    const auto model = with(body);
    CHECK_CODE(model->loss(*batch, nullptr, {}), "ERR_PROGRAM");
    CHECK_CODE(model->gradient(*batch, {}), "ERR_PROGRAM");
    CHECK(same_weights(*model, copy_weights(*model)));
  };
  fails([](Built& b, Slot h) { return b.write.aten("view.default", {{"self", of(h)}, {"size", Integers{{7, 7}, {}}}}); });
  fails([](Built& b, Slot h) { return b.write.aten("as_strided.default", {{"self", of(h)}, {"size", Integers{{1 << 20}, {}}}, {"stride", Integers{{1 << 20}, {}}}}); });
  fails([](Built& b, Slot h) { return b.write.aten("index_select.default", {{"self", of(h)}, {"dim", int64_t{0}}, {"index", of(b.store(at::ones({1}, at::kLong) * 1000))}}); });
  fails([](Built& b, Slot h) {
    const Slot size = b.write("torch.ops.aten.sym_size.int", {{"", of(h)}, {"", int64_t{0}}});
    const Slot none = b.write("_operator.sub", {{"", of(size)}, {"", of(size)}});
    const Slot bad = b.write("_operator.floordiv", {{"", of(size)}, {"", of(none)}});
    return b.write.aten("expand.default", {{"self", of(h)}, {"size", Integers{{0, 8}, {bad, -1}}}});
  });
  fails([](Built& b, Slot h) {
    Slot size = b.write("torch.ops.aten.sym_size.int", {{"", of(h)}, {"", int64_t{0}}});
    for (int i = 0; i < 8; i++) size = b.write("_operator.mul", {{"", of(size)}, {"", of(size)}});
    return b.write.aten("expand.default", {{"self", of(h)}, {"size", Integers{{0, 8}, {size, -1}}}});
  });
  fails([](Built&, Slot) { return Slot{0}; });  // a parameter of another shape
  // Kernels that take sizes on faith.
  for (const int64_t channels : {1, 7, 9})
    for (const bool training : {true, false})
      fails([&](Built& b, Slot h) {
        const Slot vector = b.store(at::ones({channels}, at::kDouble));
        return b.write.aten("native_batch_norm.default", {{"input", of(h)}, {"weight", of(vector)}, {"bias", std::monostate()},
                                                          {"running_mean", of(b.store(at::zeros({8}, at::kDouble)))}, {"running_var", of(b.store(at::ones({8}, at::kDouble)))},
                                                          {"training", training}, {"momentum", 0.1}, {"eps", 1e-5}});
      });
  for (const char* name : {"lstm.input", "gru.input", "rnn_tanh.input"})
    fails([&](Built& b, Slot h) {
      const Slot rows = b.write.aten("unsqueeze.default", {{"self", of(h)}, {"dim", int64_t{0}}});
      const Slot state = b.store(at::zeros({1, 9, 4}, at::kDouble)), weight = b.store(at::ones({2, 3}, at::kDouble));
      const bool is_lstm = std::string(name) == "lstm.input";
      return b.write.aten(name, {{"input", of(rows)}, {"hx", is_lstm ? ArgumentValue(SlotList{{state, state}}) : ArgumentValue(of(state))},
                                 {"params", SlotList{{weight, weight, weight, weight}}}, {"has_biases", true}, {"num_layers", int64_t{1}},
                                 {"dropout", 0.0}, {"train", false}, {"bidirectional", false}, {"batch_first", false}});
    });
}

TEST("batches of a program are checked by name, dtype, axes and shared sizes") {
  const auto model = with([](Built&, Slot h) { return h; });
  const auto x = examples->inputs(), y = examples->targets();
  const auto refused = [&](Batch::Named tensors, const std::string& code = "ERR_OUT_OF_RANGE") {
    const auto batch = Batch::named(std::move(tensors));
    CHECK_CODE(model->loss(*batch, nullptr, {}), code);
  };
  refused({{"x", x}});
  refused({{"x", x}, {"y", y}, {"z", y}});
  refused({{"x", x.to(at::kFloat)}, {"y", y}}, "ERR_INVALID_ARG_TYPE");
  refused({{"x", x.unsqueeze(0)}, {"y", y}});
  refused({{"x", x.narrow(1, 0, 4)}, {"y", y}});
  refused({{"x", x.narrow(0, 0, 8)}, {"y", y}});
  CHECK_CODE(model->loss(*examples, nullptr, {}), "ERR_INVALID_ARG_TYPE");
  CHECK_CODE(Batch::named({}), "ERR_OUT_OF_RANGE");
  Built b;
  b.program.symbols[0] = {2, 8};
  b.program.reduction = Reduction::mean_of_rows;
  const auto bounded = b.model(b.error(b.predicted(b.hidden())));
  CHECK_CODE(bounded->loss(*named(*examples), nullptr, {}), "ERR_OUT_OF_RANGE");
  const auto seven = Batch::named({{"x", x.narrow(0, 0, 7)}, {"y", y.narrow(0, 0, 7)}});
  const double loss = bounded->loss(*seven, nullptr, {}).loss;
  for (const int64_t size : {1, 2, 3, 5, 6}) CHECK_CLOSE(bounded->loss(*seven, nullptr, {.micro_batch = size}).loss, loss, 1e-14);  // never one row
}

TEST("inputs without axes have no rows") {
  for (const size_t without : {0, 1}) {
    Built b;
    b.program.inputs[without].sizes.clear();
    b.program.reduction = Reduction::mean_of_rows;
    const auto model = b.model(b.error(b.predicted(b.hidden())));
    CHECK(!model->network().adds_over_rows() && model->network().least_rows() == 1);
    CHECK_CODE(model->loss(*named(*examples), nullptr, {}), "ERR_OUT_OF_RANGE");
  }
}

TEST("scratch that a value of the program still looks at is not made into another parameter") {
  Built b;
  b.program.parameters = {{"a", {5, 5}}, {"b", {5, 5}}, {"c", {5, 5}}, {"d", {3, 5}}};
  const Slot a = b.write.aten("t.default", {{"self", of(b.p[0])}}), second = b.write.aten("t.default", {{"self", of(b.p[1])}});
  const Slot third = b.write.aten("mm.default", {{"self", of(b.x)}, {"mat2", of(b.p[2])}});
  const Slot both = b.write.aten("mm.default", {{"self", of(b.write.aten("mm.default", {{"self", of(third)}, {"mat2", of(a)}}))}, {"mat2", of(second)}});
  const auto model = b.model(b.error(b.write.aten("linear.default", {{"input", of(both)}, {"weight", of(b.p[3])}})));
  const auto batch = named(*examples);
  const auto v = random_vector(model->layout(), 4);
  const Perturbation moved{v, 0.3, PerturbationMode::view}, in_place{v, 0.3, PerturbationMode::in_place};
  CHECK(model->loss(*batch, &moved, {}).loss == model->loss(*batch, &in_place, {}).loss);
}

TEST("dropout is off, or drawn from its seed in each pass, and the process's generator stays where it was") {
  const auto batch = named(*examples);
  const auto dropped = [](std::optional<uint64_t> seed) {
    Built b;
    b.program.dropout_seed = seed;
    const Slot h = b.write.aten("dropout.default", {{"input", of(b.hidden())}, {"p", 0.5}, {"train", true}});
    return b.model(b.error(b.predicted(h)));
  };
  const double without = with([](Built&, Slot h) { return h; })->loss(*batch, nullptr, {}).loss;
  CHECK(dropped(std::nullopt)->loss(*batch, nullptr, {}).loss == without);
  const at::Tensor before = at::detail::getDefaultCPUGenerator().get_state();
  const auto one = dropped(7), other = dropped(8);
  const double loss = one->loss(*batch, nullptr, {}).loss;
  CHECK(loss != without && loss == one->loss(*batch, nullptr, {}).loss && loss != other->loss(*batch, nullptr, {}).loss);
  CHECK_CLOSE(one->gradient(*batch, {}).loss, loss, 1e-14);
  CHECK(same_bits(at::detail::getDefaultCPUGenerator().get_state(), before));
}

TEST("regions: a graph without gradients, one under autocast, and the branch that a value chooses") {
  const auto batch = named(*examples);
  const auto region = [](const std::string& target, std::vector<ArgumentDescription> head, size_t graphs) {
    return with([&](Built& b, Slot h) {
      auto arguments = head;
      for (size_t i = 0; i < graphs; i++) {
        Writer inner;
        const Slot in = inner.input();
        inner.outputs({inner.aten("mul.Tensor", {{"self", of(in)}, {"other", static_cast<double>(i + 2)}})});
        arguments.push_back({"", std::make_shared<const GraphDescription>(inner.graph())});
      }
      if (graphs == 2) arguments.push_back({"", SlotList{{h}}});
      else arguments.push_back({"", of(h)});
      return b.write(target, arguments);
    });
  };
  const auto plain = [](double factor) {
    return with([&](Built& b, Slot h) { return b.write.aten("mul.Tensor", {{"self", of(h)}, {"other", factor}}); });
  };
  const auto frozen = region("torch.ops.higher_order.wrap_with_set_grad_enabled", {{"", false}}, 1);
  CHECK(frozen->loss(*batch, nullptr, {}).loss == plain(2)->loss(*batch, nullptr, {}).loss);
  const auto gradient = frozen->gradient(*batch, {}).gradient;
  CHECK(!gradient->has(0) && gradient->has(2));
  CHECK(region("torch.ops.higher_order.cond", {{"", true}}, 2)->loss(*batch, nullptr, {}).loss == plain(2)->loss(*batch, nullptr, {}).loss);
  CHECK(region("torch.ops.higher_order.cond", {{"", false}}, 2)->loss(*batch, nullptr, {}).loss == plain(3)->loss(*batch, nullptr, {}).loss);
  const auto cast = region("torch.ops.higher_order.wrap_with_autocast", {{"", std::string("cpu")}, {"", at::kBFloat16}, {"", true}, {"", std::monostate()}}, 1);
  CHECK(std::isfinite(cast->loss(*batch, nullptr, {}).loss) && !at::autocast::is_autocast_enabled(at::kCPU));
}

TEST("a weight that depends on parameters is refused, and one that is not positive") {
  Built b;
  b.program.reduction = Reduction::sum_and_weight;
  const Slot loss = b.error(b.predicted(b.hidden()));
  b.write.outputs({loss, b.write.aten("sum.default", {{"self", of(b.p[1])}})});
  b.program.graph = b.write.graph();
  CHECK_CODE(make_program(b.program), "ERR_PROGRAM");
  b.write.outputs({loss, b.write.aten("sum.default", {{"self", of(b.write.aten("zeros_like.default", {{"self", of(b.y)}}))}})});
  const auto model = b.model(loss);
  CHECK_CODE(model->loss(*named(*examples), nullptr, {}), "ERR_OUT_OF_RANGE");
}

TEST("a pass that is cancelled ends at the next node") {
  const auto model = with([](Built&, Slot h) { return h; });
  PassOptions options;
  options.cancel.cancel();
  CHECK_THROWS(model->loss(*named(*examples), nullptr, options));
}

TEST("every operator of the list is one of this libtorch's, once, and computes by its schema") {
  std::set<std::string> seen;
  std::map<std::string, size_t> overloads;
  for (const auto& name : c10::Dispatcher::singleton().getAllOpNames()) overloads[name.name]++;
  for (const auto& name : allowed_names()) {
    CHECK(seen.insert(name).second);
    if (overloads["aten::" + name] == 0) fail(__FILE__, __LINE__, "Expected an operator aten::" + name);
    for (const char* never : {"set", "resize", "from_file", "sparse", "quantize", "mkldnn", "cuda", "data_ptr", "save", "load"})
      CHECK(name.find(never) == std::string::npos || name.find("offset") != std::string::npos);
  }
  CHECK(seen.size() > 400);
}

TEST("sizes are computed as Python computes them") {
  const auto call = [](const char* name, std::vector<c10::IValue> arguments) { return scalar_function(name)(arguments); };
  CHECK(call("_operator.floordiv", {-7, 2}).toInt() == -4 && call("_operator.mod", {-7, 2}).toInt() == 1);
  CHECK(call("_operator.floordiv", {7, -2}).toInt() == -4 && call("_operator.mod", {7, -2}).toInt() == -1);
  CHECK(call("_operator.truediv", {7, 2}).toDouble() == 3.5 && call("_operator.pow", {3, 4}).toInt() == 81);
  CHECK(call("_operator.pow", {2, -1}).toDouble() == 0.5 && call("torch.sym_max", {3, 4}).toInt() == 4);
  CHECK(call("math.ceil", {2.5}).toInt() == 3 && call("torch.sym_float", {2}).toDouble() == 2);
  CHECK(call("torch.sym_not", {true}).toBool() == false && call("_operator.ge", {3, 3}).toBool());
  for (const char* name : {"_operator.add", "_operator.mul"}) CHECK_CODE(call(name, {INT64_MAX, INT64_MAX}), "ERR_PROGRAM");
  CHECK_CODE(call("_operator.sub", {INT64_MIN, 1}), "ERR_PROGRAM");
  CHECK_CODE(call("_operator.neg", {INT64_MIN}), "ERR_PROGRAM");
  CHECK_CODE(call("_operator.floordiv", {1, 0}), "ERR_PROGRAM");
  CHECK_CODE(call("_operator.floordiv", {INT64_MIN, -1}), "ERR_PROGRAM");
  CHECK_CODE(call("_operator.pow", {3, 100}), "ERR_PROGRAM");
  CHECK_CODE(call("math.floor", {1e300}), "ERR_PROGRAM");
  CHECK(scalar_function("_operator.matmul") == nullptr);
}
