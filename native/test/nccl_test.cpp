// NcclLink over the fake NCCL: what goes wrong, and how it ends. ranks_test.cpp shares models over it.
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "check.hpp"
#include "fake_nccl.hpp"
#include "ranks/nccl_functions.hpp"
#include "support.hpp"
#include "thread_group.hpp"

using namespace critical_sharpness;
using namespace critical_sharpness::test;
using namespace std::chrono_literals;

namespace {

constexpr int64_t count = 1000;

at::Tensor part(int rank) { return random_tensor({count}, at::kFloat, static_cast<uint64_t>(rank)); }

/// A gather that is under way, and where it goes.
std::pair<Pending, at::Tensor> start_gather(Group& group) {
  const at::Tensor all = at::empty({group.size(), count}, at::kFloat);
  return {group.start_all_gather(all, part(group.rank())), all};
}

void gather(Group& group) {
  auto [pending, all] = start_gather(group);
  group.wait(pending);
  for (int rank = 0; rank < group.size(); rank++) CHECK(same_bits(all.select(0, rank), part(rank)));
}

/// What body(group) throws on each of the ranks: an ERR_… and its message.
template <class Body>
std::vector<std::string> errors_of(const std::vector<std::shared_ptr<Group>>& groups, const Body& body) {
  return on_ranks(groups, [&](const std::shared_ptr<Group>& group) -> std::string {
    try {
      body(*group);
    } catch (const InputError& error) {
      CHECK_CODE(body(*group), "ERR_RANK_LOST");  // and so is all that follows
      return error.code + ": " + error.what();
    } catch (const std::exception& error) {
      return error.what();
    }
    return "";
  });
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST("nccl: gathers and exchanges of every size, several under way, waited for in any order or not at all") {
  on_ranks(nccl_groups(3), [](const std::shared_ptr<Group>& group) {
    const int rank = group->rank();
    for (int64_t numbers : {int64_t{1}, int64_t{1000}, int64_t{1} << 18, int64_t{0}}) {
      const at::Tensor gathered = at::empty({3, numbers}, at::kFloat), exchanged = at::empty({3, numbers}, at::kFloat);
      const auto mine = [&](int r) { return random_tensor({numbers}, at::kFloat, static_cast<uint64_t>(r)); };
      const auto sent = [&](int from, int to) { return random_tensor({numbers}, at::kFloat, static_cast<uint64_t>(100 + 10 * from + to)); };
      const at::Tensor parts = at::cat({sent(rank, rank == 0 ? 1 : 0), sent(rank, rank == 2 ? 1 : 2)}).view({2, numbers});
      exchanged[rank] = sent(rank, rank);
      Pending first = group->start_all_gather(gathered, mine(rank)), second = group->start_exchange(exchanged, parts);
      start_gather(*group);
      (rank == 1 ? first : second).wait();
      (rank == 1 ? second : first).wait();
      for (int r = 0; r < 3; r++) {
        CHECK(same_bits(gathered.select(0, r), mine(r)));
        CHECK(same_bits(exchanged.select(0, r), sent(r, rank)));
      }
      CHECK(group->all_gather({1.5 * rank, -0.0})[2] == std::vector<double>({3, -0.0}));
    }
    return 0;
  });
  CHECK(open_communicators() == 0);
}

TEST("nccl: what NCCL finds wrong ends the group on every rank, and nothing stays under way") {
  const FakeFault fault(FakeFault::Kind::error, 1, 2);
  const auto errors = errors_of(nccl_groups(3), [](Group& group) {
    for (int k = 0; k < 4; k++) gather(group);
  });
  for (const auto& error : errors)
    CHECK(error == "ERR_RANK_LOST: Expected every rank's transfers to go on but received \"remote process exited or there was a network error\" "
                   "from NCCL: see all ranks' output, and start them again");
  CHECK(open_communicators() == 0);
}

TEST("nccl: a transfer that never ends is given up after the group's timeout") {
  const FakeFault fault(FakeFault::Kind::hang, 0, 1);
  const auto errors = errors_of(nccl_groups(2, 1500ms), [](Group& group) {
    gather(group);
    gather(group);
  });
  for (const auto& error : errors) CHECK(has(error, "ERR_RANK_LOST: Expected every rank's transfers to go on but received nothing for 1 s"));
}

TEST("nccl: one that fails takes the others out of their transfers, and says why") {
  const auto groups = nccl_groups(2);
  const auto started = std::chrono::steady_clock::now();
  const auto errors = errors_of(groups, [](Group& group) {
    group.call({"gather", {}}, {}, [&] {
      gather(group);
      if (group.rank() == 1) throw std::runtime_error("no memory left");
      gather(group);
      return 0;
    });
  });
  CHECK(errors[0] == "ERR_RANK_LOST: Expected rank 1 to finish \"gather\" but received: no memory left");
  CHECK(errors[1] == "no memory left");
  CHECK(std::chrono::steady_clock::now() - started < 10s);
}

TEST("nccl: a group that is closed has nothing under way, though nobody waits") {
  const auto groups = nccl_groups(2);
  on_ranks(groups, [](const std::shared_ptr<Group>& group) {
    gather(*group);
    return 0;
  });
  CHECK(open_communicators() == 2);
  const Pending late = start_gather(*groups[0]).first;
  groups[1]->close("Expected all to be well but received a fire");
  for (int k = 0; k < 100 && open_communicators() > 0; k++) std::this_thread::sleep_for(50ms);
  CHECK(open_communicators() == 0);
  CHECK_CODE(gather(*groups[0]), "ERR_RANK_LOST");
}

TEST("nccl: no rank leaves a call whose transfers others still wait for") {
  std::atomic<bool> is_late{true};
  on_ranks(nccl_groups(2), [&](const std::shared_ptr<Group>& group) {
    group->call({"gather", {}}, {}, [&] {
      auto [pending, _] = start_gather(*group);
      if (group->rank() == 1) std::this_thread::sleep_for(200ms);
      group->wait(pending);
      if (group->rank() == 1) is_late = false;
      return 0;
    });
    CHECK(!is_late);
    return 0;
  });
}

TEST("nccl: transfers that are not grouped would wait for each other without end") {
  nccl::Functions one_by_one = fake_nccl();
  one_by_one.group_start = one_by_one.group_end = [] { return nccl::success; };
  const auto errors = errors_of(nccl_groups(2, 1s, one_by_one), [](Group& group) { gather(group); });
  for (const auto& error : errors) CHECK(has(error, "nothing for 1 s"));
}

TEST("nccl: ranks that NCCL cannot join are told why") {
  const FakeFault fault(FakeFault::Kind::join, 1);
  const auto errors = errors_of(nccl_groups(2), [](Group& group) { gather(group); });
  CHECK(has(errors[1], "ERR_GROUP: Expected NCCL to join cpu to those of the other ranks but received \"invalid usage\""));
  CHECK(has(errors[0], "ERR_RANK_LOST: Expected rank 1 to finish its part but received: Expected NCCL to join"));
  CHECK(open_communicators() == 0);
}

TEST("nccl: a library that is missing, another one, or one that is too old is refused") {
  CHECK_CODE(nccl::load("libnccl-of-nobody.so.2"), "ERR_GROUP");
  CHECK_CODE(nccl::load("libc10.so"), "ERR_GROUP");
  nccl::Functions old = fake_nccl();
  old.get_version = [](int* version) {
    *version = 21304;
    return nccl::success;
  };
  CHECK_CODE(nccl::require_version(old), "ERR_GROUP");
  nccl::require_version(fake_nccl());
}
