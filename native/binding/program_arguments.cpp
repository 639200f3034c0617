#include "program_arguments.hpp"

#include <ATen/ops/empty.h>
#include <c10/util/Exception.h>

#include <cmath>
#include <functional>
#include <limits>
#include <map>

#include "arguments.hpp"
#include "js_error.hpp"
#include "mapped_file.hpp"
#include "model.hpp"

namespace critical_sharpness::binding {
namespace {

using namespace program;

constexpr uint32_t most_items = 1 << 24, most_rank = 64;
constexpr int64_t most_slots = 1 << 24, largest_extent = int64_t{1} << 40;

std::string element(const std::string& subject, uint32_t index) { return subject + "[" + std::to_string(index) + "]"; }

/// What `read` makes of each element of a property that is an array.
template <class Read>
auto read_list(const Napi::Value& value, const std::string& subject, uint32_t most, const Read& read) {
  const Napi::Array array = read_array(value, subject, 0, most);
  std::vector<decltype(read(Napi::Value(), subject))> list;
  for (uint32_t i = 0, n = array.Length(); i < n; i++) list.push_back(read(array.Get(i), element(subject, i)));
  return list;
}

Slot read_slot(const Napi::Value& value, const std::string& subject) { return static_cast<Slot>(read_integer(value, subject, -1, most_slots - 1)); }
std::vector<Slot> read_slots(const Napi::Value& value, const std::string& subject) { return read_list(value, subject, most_items, read_slot); }

/// Numbers beyond ±2⁶³ are the least and the largest one.
int64_t read_long(const Napi::Value& value, const std::string& subject) {
  if (!value.IsNumber()) throw type_error(value, "a number", subject);
  const double number = value.As<Napi::Number>().DoubleValue();
  if (number != std::floor(number)) throw range_error(value, "an integer", subject);
  if (number >= 0x1p63) return std::numeric_limits<int64_t>::max();
  if (number < -0x1p63) return std::numeric_limits<int64_t>::min();
  return static_cast<int64_t>(number);
}

/// Also infinite ones, and NaN.
double read_double(const Napi::Value& value, const std::string& subject) {
  if (!value.IsNumber()) throw type_error(value, "a number", subject);
  return value.As<Napi::Number>().DoubleValue();
}

int64_t read_size(const Napi::Value& value, const std::string& subject) { return read_integer(value, subject, 0, largest_extent); }

at::Device read_device(const Napi::Value& value, const std::string& subject) {
  const std::string name = read_string(value, subject);
  try {
    return at::Device(name);
  } catch (const c10::Error&) {
    throw range_error(value, "a device", subject);
  }
}

at::MemoryFormat read_memory_format(const Napi::Value& value, const std::string& subject) {
  return read_choice<at::MemoryFormat>(value, subject,
                                       {{"contiguous", at::MemoryFormat::Contiguous},
                                        {"preserve", at::MemoryFormat::Preserve},
                                        {"channels_last", at::MemoryFormat::ChannelsLast},
                                        {"channels_last_3d", at::MemoryFormat::ChannelsLast3d}});
}

GraphDescription read_graph(const Napi::Value& value, const std::string& subject, int depth);

ArgumentValue read_argument(const Napi::Value& given, const std::string& subject, int depth) {
  const Napi::Object argument = read_object(given, subject);
  const std::string kind = read_string(argument.Get("kind"), subject + ".kind"), name = subject + ".value";
  const Napi::Value value = argument.Get("value");
  if (kind == "none") return std::monostate();
  if (kind == "slot") return SlotReference{read_slot(value, name)};
  if (kind == "int") return read_long(value, name);
  if (kind == "float") return read_double(value, name);
  if (kind == "bool") return read_boolean(value, name);
  if (kind == "string") return read_string(value, name);
  if (kind == "dtype") return read_program_dtype(value, name);
  if (kind == "device") return read_device(value, name);
  if (kind == "layout") return read_choice<at::Layout>(value, name, {{"strided", at::kStrided}});
  if (kind == "memory-format") return read_memory_format(value, name);
  if (kind == "floats") return read_list(value, name, most_items, read_double);
  if (kind == "bools") return read_list(value, name, most_items, read_boolean);
  if (kind == "slots") return SlotList{read_slots(value, name)};
  if (kind == "graph") return std::make_shared<const GraphDescription>(read_graph(value, name, depth + 1));
  if (kind != "ints") reject_range("Expected a known kind of argument for " + subject + " but received \"" + kind.substr(0, 80) + "\"");
  const Napi::Value slots = argument.Get("slots");
  return Integers{read_list(value, name, most_items, read_long), slots.IsUndefined() ? std::vector<Slot>() : read_slots(slots, subject + ".slots")};
}

Output read_output(const Napi::Value& value, const std::string& subject) {
  if (value.IsArray()) return {true, read_slots(value, subject)};
  return {false, {read_slot(value, subject)}};
}

NodeDescription read_node(const Napi::Value& value, const std::string& subject, int depth) {
  const Napi::Object given = read_object(value, subject);
  NodeDescription node;
  node.target = read_string(given.Get("target"), subject + ".target");
  node.where = read_string(given.Get("where"), subject + ".where");
  node.arguments = read_list(given.Get("arguments"), subject + ".arguments", most_items, [depth](const Napi::Value& one, const std::string& name) {
    const Napi::Object argument = read_object(one, name);
    return ArgumentDescription{read_string(argument.Get("name"), name + ".name"), read_argument(argument.Get("value"), name + ".value", depth)};
  });
  node.outputs = read_list(given.Get("outputs"), subject + ".outputs", most_items, read_output);
  return node;
}

GraphDescription read_graph(const Napi::Value& value, const std::string& subject, int depth) {
  if (depth > 32) reject_range("Expected graphs within graphs to a depth of 32 for " + subject + " but received deeper ones");
  const Napi::Object given = read_object(value, subject);
  GraphDescription graph;
  graph.slots = static_cast<Slot>(read_integer(given.Get("slots"), subject + ".slots", 0, most_slots));
  graph.inputs = read_slots(given.Get("inputs"), subject + ".inputs");
  graph.outputs = read_slots(given.Get("outputs"), subject + ".outputs");
  graph.nodes = read_list(given.Get("nodes"), subject + ".nodes", most_items,
                          [depth](const Napi::Value& one, const std::string& name) { return read_node(one, name, depth); });
  return graph;
}

/// Elements from the first to the last one.
int64_t extent(const std::vector<int64_t>& sizes, const std::vector<int64_t>& strides, const std::string& subject) {
  int64_t last = 0;
  for (size_t i = 0; i < sizes.size(); i++) {
    if (sizes[i] == 0) return 0;
    int64_t along = 0;
    if (__builtin_mul_overflow(sizes[i] - 1, strides[i], &along) || __builtin_add_overflow(last, along, &last) || last >= largest_extent)
      reject_range("Expected at most 2^40 elements for " + subject + " but received more");
  }
  return last + 1;
}

at::Tensor read_stored(const Napi::Value& value, const std::string& subject, FileReader& files, at::Device device) {
  const Napi::Object given = read_object(value, subject);
  const FileTensor place{read_string(given.Get("path"), subject + ".path"),
                         read_integer(given.Get("byteOffset"), subject + ".byteOffset", 0, int64_t{1} << 53),
                         read_program_dtype(given.Get("dtype"), subject + ".dtype")};
  const auto sizes = read_list(given.Get("shape"), subject + ".shape", most_rank, read_size);
  const auto strides = read_list(given.Get("strides"), subject + ".strides", most_rank, read_size);
  if (sizes.size() != strides.size()) reject_range("Expected a stride for each size for " + subject + " but received another number");
  const int64_t elements = extent(sizes, strides, subject);
  if (elements == 0) return at::empty(sizes, at::TensorOptions(place.dtype).device(device));
  // Any byte but 0 is true, whatever the file has.
  const bool is_bool = place.dtype == at::kBool;
  const FileTensor stored{place.path, place.byte_offset, is_bool ? at::kByte : place.dtype};
  const at::Tensor flat = files.read(stored, {subject, {elements}}, at::TensorOptions(stored.dtype));
  return (is_bool ? flat.ne(0) : flat).as_strided(sizes, strides).to(device);
}

ParameterSpec read_parameter(const Napi::Value& value, const std::string& subject) {
  const Napi::Object given = read_object(value, subject);
  return {read_string(given.Get("name"), subject + ".name"), read_shape(given.Get("shape"), subject + ".shape", 0, most_rank)};
}

Symbol read_symbol(const Napi::Value& value, const std::string& subject) {
  const Napi::Object given = read_object(value, subject);
  return {read_long(given.Get("least"), subject + ".least"), read_long(given.Get("most"), subject + ".most")};
}

InputDescription read_input(const Napi::Value& value, const std::string& subject, size_t symbols) {
  const Napi::Object given = read_object(value, subject);
  InputDescription input;
  input.name = read_string(given.Get("name"), subject + ".name");
  input.dtype = read_program_dtype(given.Get("dtype"), subject + ".dtype");
  input.sizes = read_list(given.Get("sizes"), subject + ".sizes", most_rank, [&](const Napi::Value& size, const std::string& name) {
    if (size.IsNumber()) return Size{read_size(size, name)};
    const int64_t last = static_cast<int64_t>(symbols) - 1;
    return Size{0, static_cast<int32_t>(read_integer(read_object(size, name).Get("symbol"), name + ".symbol", 0, last))};
  });
  return input;
}

Feed read_feed(const Napi::Value& value, const std::string& subject) {
  const Napi::Object given = read_object(value, subject);
  const auto kind = read_choice<Feed::Kind>(
      given.Get("kind"), subject + ".kind", {{"parameter", Feed::Kind::parameter}, {"stored", Feed::Kind::stored}, {"input", Feed::Kind::input}});
  return {kind, static_cast<size_t>(read_integer(given.Get("index"), subject + ".index", 0, most_slots))};
}

}  // namespace

at::ScalarType read_program_dtype(const Napi::Value& value, const std::string& subject) {
  return read_choice<at::ScalarType>(value, subject,
                                     {{"bool", at::kBool},
                                      {"uint8", at::kByte},
                                      {"int8", at::kChar},
                                      {"int16", at::kShort},
                                      {"int32", at::kInt},
                                      {"int64", at::kLong},
                                      {"float16", at::kHalf},
                                      {"bfloat16", at::kBFloat16},
                                      {"float32", at::kFloat},
                                      {"float64", at::kDouble}});
}

ProgramDescription read_program(const Napi::Object& d, at::Device device) {
  ProgramDescription p;
  FileReader files;
  p.device = device;
  p.parameters = read_list(d.Get("parameters"), "description.parameters", most_items, read_parameter);
  p.stored = read_list(d.Get("stored"), "description.stored", most_items,
                       [&](const Napi::Value& value, const std::string& subject) { return read_stored(value, subject, files, device); });
  p.symbols = read_list(d.Get("symbols"), "description.symbols", most_items, read_symbol);
  p.inputs = read_list(d.Get("inputs"), "description.inputs", most_items, [&](const Napi::Value& value, const std::string& subject) {
    return read_input(value, subject, p.symbols.size());
  });
  p.graph = read_graph(d.Get("graph"), "description.graph", 0);
  p.feeds = read_list(d.Get("feeds"), "description.feeds", most_items, read_feed);
  p.reduction = read_choice<Reduction>(
      d.Get("reduction"), "description.reduction",
      {{"loss", Reduction::loss}, {"mean-of-rows", Reduction::mean_of_rows}, {"sum-and-weight", Reduction::sum_and_weight}});
  const Napi::Value seed = d.Get("dropoutSeed");
  if (!seed.IsNull()) p.dropout_seed = static_cast<uint64_t>(read_integer(seed, "description.dropoutSeed", 0, int64_t{1} << 53));
  if (p.parameters.empty()) reject_range("Expected at least one parameter for the program but received none");
  return p;
}

}  // namespace critical_sharpness::binding
