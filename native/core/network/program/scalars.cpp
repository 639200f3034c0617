#include <ATen/core/Tensor.h>
#include <c10/util/safe_numerics.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "graph.hpp"

namespace critical_sharpness::program {
namespace {

using Arguments = std::vector<c10::IValue>;

[[noreturn]] void reject_overflow() { reject_program("sizes of 64 bits", "larger ones"); }

bool are_integers(const Arguments& a) {
  return std::all_of(a.begin(), a.end(), [](const c10::IValue& v) { return v.isInt() || v.isBool(); });
}
int64_t integer(const Arguments& a, size_t i) { return a.at(i).isBool() ? a[i].toBool() : a.at(i).toInt(); }
double number(const Arguments& a, size_t i) { return a.at(i).isBool() ? a[i].toBool() : a.at(i).toScalar().toDouble(); }

/// For exp, log and pow: those of double are newer than the systems that the addon runs on.
long double wide(const Arguments& a, size_t i) { return number(a, i); }

/// By integers where both are, with the check that `overflows` makes, else by floating-point numbers.
template <class Overflows, class Floating>
c10::IValue arithmetic(const Arguments& a, const Overflows& overflows, const Floating& floating) {
  if (!are_integers(a)) return floating(number(a, 0), number(a, 1));
  int64_t result = 0;
  if (overflows(integer(a, 0), integer(a, 1), &result)) reject_overflow();
  return result;
}

/// Python's // and %: rounded down.
int64_t floored(const Arguments& a) {
  const int64_t x = integer(a, 0), y = integer(a, 1);
  if (y == 0) reject_program("sizes that can be divided", "a division by 0");
  if (x == INT64_MIN && y == -1) reject_overflow();
  return x / y - ((x % y != 0) && ((x < 0) != (y < 0)));
}

int64_t remainder(const Arguments& a) {
  const int64_t quotient = floored(a);
  return integer(a, 0) - integer(a, 1) * quotient;
}

int64_t power(int64_t base, int64_t exponent) {
  int64_t result = 1;
  for (int64_t i = 0; i < exponent; i++)
    if (__builtin_mul_overflow(result, base, &result)) reject_overflow();
    else if (result == 0 || result == 1) break;
  return result;
}

int64_t to_integer(double x) {
  if (!(std::abs(x) < 0x1p63)) reject_overflow();
  return static_cast<int64_t>(x);
}

template <class Compare>
c10::IValue compare(const Arguments& a, const Compare& holds) {
  return are_integers(a) ? holds(integer(a, 0), integer(a, 1)) : holds(number(a, 0), number(a, 1));
}

template <class Choose>
c10::IValue extreme(const Arguments& a, const Choose& first) {
  const bool is_first = are_integers(a) ? first(integer(a, 0), integer(a, 1)) : first(number(a, 0), number(a, 1));
  return a.at(is_first ? 0 : 1);
}

const std::map<std::string, ScalarFunction>& functions() {
  static const std::map<std::string, ScalarFunction> all{
      {"add", [](const Arguments& a) {
         return arithmetic(a, [](int64_t x, int64_t y, int64_t* r) { return __builtin_add_overflow(x, y, r); }, std::plus<double>());
       }},
      {"sub", [](const Arguments& a) {
         return arithmetic(a, [](int64_t x, int64_t y, int64_t* r) { return __builtin_sub_overflow(x, y, r); }, std::minus<double>());
       }},
      {"mul", [](const Arguments& a) {
         return arithmetic(a, [](int64_t x, int64_t y, int64_t* r) { return __builtin_mul_overflow(x, y, r); }, std::multiplies<double>());
       }},
      {"neg", [](const Arguments& a) -> c10::IValue {
         if (!are_integers(a)) return -number(a, 0);
         if (integer(a, 0) == INT64_MIN) reject_overflow();
         return -integer(a, 0);
       }},
      {"truediv", [](const Arguments& a) -> c10::IValue { return number(a, 0) / number(a, 1); }},
      {"floordiv", [](const Arguments& a) -> c10::IValue {
         return are_integers(a) ? c10::IValue(floored(a)) : c10::IValue(std::floor(number(a, 0) / number(a, 1)));
       }},
      {"mod", [](const Arguments& a) -> c10::IValue {
         if (are_integers(a)) return remainder(a);
         const double x = number(a, 0), y = number(a, 1);
         return x - y * std::floor(x / y);
       }},
      {"pow", [](const Arguments& a) -> c10::IValue {
         if (are_integers(a) && integer(a, 1) >= 0) return power(integer(a, 0), integer(a, 1));
         return static_cast<double>(std::pow(wide(a, 0), wide(a, 1)));
       }},
      {"max", [](const Arguments& a) { return extreme(a, [](auto x, auto y) { return x >= y; }); }},
      {"min", [](const Arguments& a) { return extreme(a, [](auto x, auto y) { return x <= y; }); }},
      {"abs", [](const Arguments& a) -> c10::IValue {
         if (!are_integers(a)) return std::abs(number(a, 0));
         if (integer(a, 0) == INT64_MIN) reject_overflow();
         return std::abs(integer(a, 0));
       }},
      {"eq", [](const Arguments& a) { return compare(a, [](auto x, auto y) { return x == y; }); }},
      {"ne", [](const Arguments& a) { return compare(a, [](auto x, auto y) { return x != y; }); }},
      {"lt", [](const Arguments& a) { return compare(a, [](auto x, auto y) { return x < y; }); }},
      {"le", [](const Arguments& a) { return compare(a, [](auto x, auto y) { return x <= y; }); }},
      {"gt", [](const Arguments& a) { return compare(a, [](auto x, auto y) { return x > y; }); }},
      {"ge", [](const Arguments& a) { return compare(a, [](auto x, auto y) { return x >= y; }); }},
      {"and", [](const Arguments& a) -> c10::IValue { return a.at(0).toBool() && a.at(1).toBool(); }},
      {"or", [](const Arguments& a) -> c10::IValue { return a.at(0).toBool() || a.at(1).toBool(); }},
      {"not", [](const Arguments& a) -> c10::IValue { return !a.at(0).toBool(); }},
      {"int", [](const Arguments& a) -> c10::IValue { return are_integers(a) ? integer(a, 0) : to_integer(number(a, 0)); }},
      {"floor", [](const Arguments& a) -> c10::IValue { return to_integer(std::floor(number(a, 0))); }},
      {"ceil", [](const Arguments& a) -> c10::IValue { return to_integer(std::ceil(number(a, 0))); }},
      {"trunc", [](const Arguments& a) -> c10::IValue { return to_integer(std::trunc(number(a, 0))); }},
      {"round", [](const Arguments& a) -> c10::IValue { return to_integer(std::nearbyint(number(a, 0))); }},
      {"float", [](const Arguments& a) -> c10::IValue { return number(a, 0); }},
      {"sqrt", [](const Arguments& a) -> c10::IValue { return std::sqrt(number(a, 0)); }},
      {"exp", [](const Arguments& a) -> c10::IValue { return static_cast<double>(std::exp(wide(a, 0))); }},
      {"log", [](const Arguments& a) -> c10::IValue { return static_cast<double>(std::log(wide(a, 0))); }},
      {"size", [](const Arguments& a) -> c10::IValue { return a.at(0).toTensor().size(integer(a, 1)); }},
      {"numel", [](const Arguments& a) -> c10::IValue { return a.at(0).toTensor().numel(); }},
      {"stride", [](const Arguments& a) -> c10::IValue { return a.at(0).toTensor().stride(integer(a, 1)); }},
      {"storage_offset", [](const Arguments& a) -> c10::IValue { return a.at(0).toTensor().storage_offset(); }},
  };
  return all;
}

}  // namespace

ScalarFunction scalar_function(const std::string& target) {
  static const std::map<std::string, std::string> names{
      {"_operator.add", "add"},          {"_operator.sub", "sub"},         {"_operator.mul", "mul"},       {"_operator.neg", "neg"},
      {"_operator.truediv", "truediv"},  {"_operator.floordiv", "floordiv"}, {"_operator.mod", "mod"},     {"_operator.pow", "pow"},
      {"_operator.eq", "eq"},            {"_operator.ne", "ne"},           {"_operator.lt", "lt"},         {"_operator.le", "le"},
      {"_operator.gt", "gt"},            {"_operator.ge", "ge"},           {"_operator.and_", "and"},      {"_operator.or_", "or"},
      {"_operator.not_", "not"},         {"_operator.abs", "abs"},         {"torch.sym_max", "max"},       {"torch.sym_min", "min"},
      {"torch.sym_not", "not"},          {"torch.sym_int", "int"},         {"torch.sym_float", "float"},   {"torch._sym_sqrt", "sqrt"},
      {"torch._sym_exp", "exp"},         {"torch._sym_log", "log"},        {"math.ceil", "ceil"},          {"math.floor", "floor"},
      {"math.trunc", "trunc"},           {"_operator.round", "round"},     {"builtins.round", "round"},    {"math.sqrt", "sqrt"},
      {"torch.ops.aten.sym_size.int", "size"},
      {"torch.ops.aten.sym_numel.default", "numel"},
      {"torch.ops.aten.sym_stride.int", "stride"},
      {"torch.ops.aten.sym_storage_offset.default", "storage_offset"},
  };
  const auto found = names.find(target);
  return found == names.end() ? nullptr : functions().at(found->second);
}

}  // namespace critical_sharpness::program
