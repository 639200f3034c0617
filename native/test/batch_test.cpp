#include "batch.hpp"

#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>

#include <limits>

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
  CHECK(batch->byte_length() == 2 * 6 * 4);
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

TEST("batch: tokens of every type, of many chunks and threads, are copied and checked") {
  const int64_t rows = 3, length = 1'000'001;  // as many as threads take, and a part of a chunk
  at::Tensor ids = at::empty({rows, length}, at::kLong);
  auto* id = ids.mutable_data_ptr<int64_t>();
  for (int64_t i = 0; i < ids.numel(); i++) id[i] = i % 251;
  for (const auto type : {at::kLong, at::kInt, at::kUInt32, at::kUInt16, at::kByte}) {
    const at::Tensor given = ids.to(type);
    const auto batch = Batch::tokens(given, given);
    CHECK(batch->count() == rows * length && batch->largest_input() == 250 && batch->largest_target() == 250);
    CHECK(same_bits(batch->slice(0, rows).inputs(), ids) && same_bits(batch->slice(0, rows).targets(), ids));
  }
  // The last number is the one that is wrong, or is known of.
  at::Tensor labels = ids.clone();
  int64_t& last = labels.mutable_data_ptr<int64_t>()[labels.numel() - 1];
  for (const int64_t wrong : {int64_t{-1}, -(int64_t{1} << 40), int64_t{1} << 31, std::numeric_limits<int64_t>::max()}) {
    last = wrong;
    CHECK_CODE(Batch::tokens(ids, labels), "ERR_OUT_OF_RANGE");
    CHECK_CODE(Batch::tokens(labels, ids), "ERR_OUT_OF_RANGE");
  }
  CHECK_CODE(Batch::tokens(ids.to(at::kUInt32), at::full({rows, length}, -100, at::kLong).to(at::kUInt32)), "ERR_OUT_OF_RANGE");
  last = (int64_t{1} << 31) - 1;
  CHECK(Batch::tokens(ids, labels)->largest_target() == last);
  last = -100;
  CHECK(Batch::tokens(ids, labels)->count() == rows * length - 1);
  CHECK(Batch::tokens(ids, labels.to(at::kInt))->part(2, 1)->count() == length - 1);
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

TEST("batch: a slice has ids as passes take them, and keeps what is known of the whole") {
  const auto batch = Batch::tokens(integers({3, 1, 4, 1, 5, 9}, {3, 2}), integers({1, 4, -100, 5, -100, 2}, {3, 2}));
  const Batch part = batch->slice(1, 2);
  CHECK(part.rows() == 2 && part.inputs().size(1) == 2);
  CHECK(same_bits(part.inputs(), integers({4, 1, 5, 9}, {2, 2})) && same_bits(part.targets(), integers({-100, 5, -100, 2}, {2, 2})));
  CHECK(part.largest_input() == 9);
  CHECK(batch->rows() == 3);
}

TEST("batch: a part is a batch of its own, with its count") {
  const auto batch = Batch::tokens(integers({3, 1, 4, 1, 5, 9}, {3, 2}), integers({1, 4, -100, -100, -100, 2}, {3, 2}));
  CHECK(batch->part(0, 1)->count() == 2 && batch->part(1, 1)->count() == 0 && batch->part(1, 2)->count() == 1);
  CHECK(batch->part(1, 2)->inputs().const_data_ptr<int32_t>() == batch->inputs().const_data_ptr<int32_t>() + 2);
  const auto examples = Batch::examples(random_tensor({3, 2}, at::kFloat, 1), integers({0, 1, 2}, {3}));
  CHECK(examples->part(1, 2)->count() == 2 && examples->part(1, 2)->rows() == 2);
  // Whatever was found out of the whole before.
  for (const auto& whole : {batch, examples}) {
    CHECK(whole->part(0, 3)->digest() == whole->digest());
    CHECK(whole->part(0, 2)->digest() != whole->digest() && whole->part(0, 2)->digest() != whole->part(1, 2)->digest());
  }
}
