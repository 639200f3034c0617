// A rank that is gone is known by its connection, without a transfer.
#include <torch/csrc/distributed/c10d/HashStore.hpp>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>

#include <chrono>
#include <thread>

#include "check.hpp"
#include "ranks/lifeline.hpp"

using namespace critical_sharpness;
using namespace std::chrono_literals;

namespace {

/// One rank's end: what a process has of it.
struct End {
  std::shared_ptr<Membership> membership;
  c10::intrusive_ptr<c10d::Backend> backend;
  std::unique_ptr<Lifeline> line;
};

std::vector<End> lifelines(int size) {
  const c10::intrusive_ptr<c10d::Store> store = c10::make_intrusive<c10d::HashStore>();
  std::vector<std::string> names;
  for (int rank = 0; rank < size; rank++) {
    names.push_back("rank " + std::to_string(rank));
    store->set("beat/" + std::to_string(rank), "0");
  }
  std::vector<End> ends(static_cast<size_t>(size));
  std::vector<std::thread> threads;
  for (int rank = 0; rank < size; rank++)
    threads.emplace_back([&, rank] {
      Rendezvous where;
      where.rank = rank;
      where.size = size;
      auto options = c10d::ProcessGroupGloo::Options::create(20s);
      options->devices.push_back(c10d::ProcessGroupGloo::createDeviceForInterface("lo"));
      End& end = ends[static_cast<size_t>(rank)];
      end.membership = std::make_shared<Membership>(where, store, names);
      end.backend = c10::make_intrusive<c10d::ProcessGroupGloo>(c10::make_intrusive<c10d::PrefixStore>("lifeline", store), rank, size, options);
      end.line = std::make_unique<Lifeline>(end.membership, end.backend);
    });
  for (auto& thread : threads) thread.join();
  return ends;
}

/// Why a group has ended, within ten seconds.
std::string reason_of(Membership& membership) {
  for (int k = 0; k < 200 && !membership.has_ended(); k++) std::this_thread::sleep_for(50ms);
  std::string told;
  membership.on_end([&](const std::string& why) { told = why; });
  return told;
}

}  // namespace

TEST("lifeline: a rank whose connections close ends the group on all others, which name it") {
  auto ends = lifelines(3);
  std::this_thread::sleep_for(100ms);
  for (const auto& end : ends) CHECK(!end.membership->has_ended());
  ends[1].line.reset();
  ends[1].backend.reset();
  for (const size_t rank : {0, 2})
    CHECK(reason_of(*ends[rank].membership) ==
          "Expected rank 1 to go on but received a closed connection: see its output, and start all ranks again");
}

TEST("lifeline: all that go together leave nothing behind, at once") {
  auto ends = lifelines(2);
  const auto start = std::chrono::steady_clock::now();
  for (auto& end : ends) end.line.reset();
  CHECK(std::chrono::steady_clock::now() - start < 500ms);
  for (const auto& end : ends) CHECK(!end.membership->has_ended());
}
