#include "batch.hpp"

#include <ATen/ops/empty.h>

#include "check.hpp"
#include "support.hpp"

using namespace critical_sharpness;
using namespace critical_sharpness::test;

namespace {

at::Tensor integers(const std::vector<double>& values, at::IntArrayRef shape) {
  return tensor_of(values).to(at::kLong).reshape(shape);
}

}  // namespace

TEST("batch: tokens with their counts and largest ids") {
  const auto batch = Batch::tokens(integers({3, 1, 4, 1, 5, 9}, {2, 3}), integers({1, 4, -100, 5, -100, 2}, {2, 3}));
  CHECK(batch->kind() == Batch::Kind::tokens);
  CHECK(batch->rows() == 2 && batch->count() == 4);
  CHECK(batch->largest_input() == 9 && batch->largest_target() == 5);
  CHECK(batch->byte_length() == 2 * 6 * 8);
}

TEST("batch: tokens that cannot be used") {
  const at::Tensor ids = integers({1, 2}, {1, 2});
  CHECK_CODE(Batch::tokens(integers({1, -2}, {1, 2}), ids), "ERR_OUT_OF_RANGE");
  CHECK_CODE(Batch::tokens(integers({1, -100}, {1, 2}), ids), "ERR_OUT_OF_RANGE");
  CHECK_CODE(Batch::tokens(ids, integers({1, -1}, {1, 2})), "ERR_OUT_OF_RANGE");
  CHECK_CODE(Batch::tokens(ids, integers({1, -101}, {1, 2})), "ERR_OUT_OF_RANGE");
  CHECK_CODE(Batch::tokens(ids, integers({-100, -100}, {1, 2})), "ERR_OUT_OF_RANGE");
  CHECK_CODE(Batch::tokens(ids, integers({1, 2}, {2, 1})), "ERR_OUT_OF_RANGE");
  CHECK_CODE(Batch::tokens(ids, integers({1, 2, 3}, {1, 3})), "ERR_OUT_OF_RANGE");
  CHECK_CODE(Batch::tokens(integers({1, 2}, {2}), integers({1, 2}, {2})), "ERR_OUT_OF_RANGE");
  CHECK_CODE(Batch::tokens(at::empty({0, 3}, at::kLong), at::empty({0, 3}, at::kLong)), "ERR_OUT_OF_RANGE");
  CHECK_CODE(Batch::tokens(at::empty({3, 0}, at::kLong), at::empty({3, 0}, at::kLong)), "ERR_OUT_OF_RANGE");
}

TEST("batch: examples with targets or classes") {
  const at::Tensor inputs = random_tensor({3, 2}, at::kFloat, 1);
  const auto regression = Batch::examples(inputs, random_tensor({3, 4}, at::kFloat, 2));
  CHECK(regression->kind() == Batch::Kind::examples);
  CHECK(regression->rows() == 3 && regression->count() == 3 && regression->largest_target() == -1);
  CHECK(regression->byte_length() == 4 * (6 + 12));
  const auto classes = Batch::examples(inputs, integers({0, 7, 2}, {3}));
  CHECK(classes->count() == 3 && classes->largest_target() == 7 && classes->largest_input() == -1);
}

TEST("batch: examples that cannot be used") {
  const at::Tensor inputs = random_tensor({3, 2}, at::kFloat, 1);
  CHECK_CODE(Batch::examples(inputs, random_tensor({2, 4}, at::kFloat, 2)), "ERR_OUT_OF_RANGE");
  CHECK_CODE(Batch::examples(inputs, at::empty({3, 0}, at::kFloat)), "ERR_OUT_OF_RANGE");
  CHECK_CODE(Batch::examples(inputs, at::empty({}, at::kFloat)), "ERR_OUT_OF_RANGE");
  CHECK_CODE(Batch::examples(inputs, integers({0, -1, 2}, {3})), "ERR_OUT_OF_RANGE");
  CHECK_CODE(Batch::examples(inputs, integers({0, -100, 2}, {3})), "ERR_OUT_OF_RANGE");  // only tokens are ignored
  CHECK_CODE(Batch::examples(random_tensor({3}, at::kFloat, 1), integers({0, 1, 2}, {3})), "ERR_OUT_OF_RANGE");
  CHECK_CODE(Batch::examples(at::empty({3, 0}, at::kFloat), integers({0, 1, 2}, {3})), "ERR_OUT_OF_RANGE");
}

TEST("batch: a slice shares memory, and keeps what is known of the whole") {
  const auto batch = Batch::tokens(integers({3, 1, 4, 1, 5, 9}, {3, 2}), integers({1, 4, -100, 5, -100, 2}, {3, 2}));
  const Batch part = batch->slice(1, 2);
  CHECK(part.rows() == 2 && part.inputs().size(1) == 2);
  CHECK(part.inputs().const_data_ptr<int64_t>() == batch->inputs().const_data_ptr<int64_t>() + 2);
  CHECK(part.targets().const_data_ptr<int64_t>() == batch->targets().const_data_ptr<int64_t>() + 2);
  CHECK(part.largest_input() == 9);
  CHECK(batch->rows() == 3);
}

TEST("batch: a part is a batch of its own, with its count") {
  const auto batch = Batch::tokens(integers({3, 1, 4, 1, 5, 9}, {3, 2}), integers({1, 4, -100, -100, -100, 2}, {3, 2}));
  CHECK(batch->part(0, 1)->count() == 2 && batch->part(1, 1)->count() == 0 && batch->part(1, 2)->count() == 1);
  CHECK(batch->part(1, 2)->inputs().const_data_ptr<int64_t>() == batch->inputs().const_data_ptr<int64_t>() + 2);
  const auto examples = Batch::examples(random_tensor({3, 2}, at::kFloat, 1), integers({0, 1, 2}, {3}));
  CHECK(examples->part(1, 2)->count() == 2 && examples->part(1, 2)->rows() == 2);
}
