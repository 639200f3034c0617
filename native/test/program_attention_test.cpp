// Attention in programs.
#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>

#include "check.hpp"
#include "curvature/curvature.hpp"
#include "programs.hpp"

using namespace critical_sharpness;
using namespace critical_sharpness::test;

namespace {

const auto batch = named(*example_batch(9, 5, 3, Loss::mse, 1));

Slot shaped(Built& b, const char* name, Slot from, std::vector<int64_t> size) {
  return b.write.aten(name, {{"self", of(from)}, {name[0] == 'v' ? "size" : "shape", Integers{std::move(size), {}}}});
}
Slot swapped(Built& b, Slot from) { return b.write.aten("transpose.int", {{"self", of(from)}, {"dim0", int64_t{1}}, {"dim1", int64_t{2}}}); }

/// Hidden numbers as two heads of nine tokens.
Slot heads_of(Built& b, Slot from) { return swapped(b, shaped(b, "view.default", from, {1, 9, 2, 4})); }

}  // namespace

TEST("attention that was exported by the flash kernel's layout has second derivatives") {
  const auto attend = [](const char* last) {
    return with([&](Built& b, Slot h) {
      const Slot heads = heads_of(b, h);
      const Slot out = b.write.aten("scaled_dot_product_attention.default", {{"query", of(heads)}, {"key", of(heads)}, {"value", of(heads)}, {"is_causal", true}});
      return shaped(b, last, swapped(b, out), {9, 8});
    });
  };
  const auto viewed = attend("view.default"), reshaped = attend("reshape.default");
  const auto v = random_vector(viewed->layout(), 4);
  const auto w = std::make_shared<ParameterVector>(reshaped->layout(), std::vector<at::Tensor>{(*v)[0], (*v)[1], (*v)[2], (*v)[3]});
  CHECK(viewed->loss(*batch, nullptr, {}).loss == reshaped->loss(*batch, nullptr, {}).loss);
  const auto x = Curvature(viewed, batch, {}).product(*v, {}), y = Curvature(reshaped, batch, {}).product(*w, {});
  for (size_t i = 0; i < 4; i++) CHECK(relative_distance(doubles_of((*x.product)[i]), doubles_of((*y.product)[i])) < 1e-12);
}

TEST("layers that share a mask of truth values attend as each would by one of its own, also where it is written to between them") {
  const auto attend = [](const auto& mask_of) {
    return with([&](Built& b, Slot h) {
      const at::Tensor lower = at::arange(9).unsqueeze(1).ge(at::arange(9));
      const Slot below = b.store(lower), above = b.store(lower.t().contiguous());
      const auto copied = [&](Slot mask) { return b.write.aten("clone.default", {{"self", of(mask)}}); };
      const Slot shared = copied(below);
      for (int layer = 0; layer < 4; layer++) {
        const Slot heads = heads_of(b, h), mask = mask_of(b, layer, shared, copied, below, above);
        const Slot out = b.write.aten("scaled_dot_product_attention.default",
                                      {{"query", of(heads)}, {"key", of(heads)}, {"value", of(heads)}, {"attn_mask", of(mask)}});
        h = shaped(b, "reshape.default", swapped(b, out), {9, 8});
      }
      return h;
    });
  };
  const auto same = [&](const auto& one, const auto& other) {
    const auto a = attend(one), b = attend(other);
    CHECK(a->loss(*batch, nullptr, {}).loss == b->loss(*batch, nullptr, {}).loss);
    const auto x = a->gradient(*batch, {}).gradient, y = b->gradient(*batch, {}).gradient;
    for (size_t i = 0; i < 4; i++) CHECK(at::equal((*x)[i], (*y)[i]));
  };
  same([](Built&, int, Slot shared, const auto&, Slot, Slot) { return shared; },
       [](Built&, int, Slot, const auto& copied, Slot below, Slot) { return copied(below); });
  same([](Built& b, int layer, Slot shared, const auto&, Slot, Slot above) {
         if (layer == 2) b.write.aten("copy_.default", {{"self", of(shared)}, {"src", of(above)}});
         return shared;
       },
       [](Built&, int layer, Slot, const auto& copied, Slot below, Slot above) { return copied(layer < 2 ? below : above); });
}
