// Memory that ranks share: threads, which have it at places of their own, as processes do.
#include "ranks/shared_rooms.hpp"

#include <chrono>
#include <thread>

#include "check.hpp"
#include "support.hpp"
#include "thread_group.hpp"

using namespace critical_sharpness;
using namespace critical_sharpness::test;
using namespace std::chrono_literals;

namespace {

std::shared_ptr<SharedRooms> rooms_of(Group& group) { return group.shared_rooms(at::kCPU); }

}  // namespace

TEST("ranks: rooms that are shared hold what every rank wrote, as they grow and as uses take turns") {
  on_ranks(3, [](const std::shared_ptr<Group>& group) {
    const auto rooms = rooms_of(*group);
    CHECK(rooms != nullptr && rooms_of(*group) == rooms);
    const auto rank = static_cast<uint64_t>(group->rank());
    uint64_t before = 0;
    for (const int64_t numbers : {int64_t{7}, int64_t{300'000}, int64_t{1000}, int64_t{2'000'000}}) {
      const uint64_t uses = 5, first = rooms->take(uses);
      CHECK(first == before);
      before += uses;
      const auto places = rooms->rooms({0, 12 * numbers, 12 * numbers});
      CHECK(places[0].numel() == 0 && places[1].const_data_ptr() != places[2].const_data_ptr());
      for (uint64_t use = first; use < first + uses; use++) {
        rooms->note_read(use);
        rooms->wait_until_read(use == first ? first : use - 1);
        const at::Tensor room = places[1 + use % 2].view(at::kFloat).view({3, numbers});
        room[group->rank()].copy_(random_tensor({numbers}, at::kFloat, 10 * use + rank));
        rooms->note_written(use + 1);
        rooms->wait_until_written(use + 1);
        for (int r = 0; r < 3; r++) CHECK(same_bits(room[r], random_tensor({numbers}, at::kFloat, 10 * use + static_cast<uint64_t>(r))));
      }
      rooms->note_read(first + uses);
    }
    return 0;
  });
}

TEST("ranks: who waits for another's part is asked whether to go on, and hears of its own group's end") {
  const auto messages = on_ranks(2, [](const std::shared_ptr<Group>& group) -> std::string {
    const auto rooms = rooms_of(*group);
    if (group->rank() == 1) {
      std::this_thread::sleep_for(250ms);
      group->close("Expected more memory");
      return "";
    }
    rooms->note_written(1);
    CHECK(!rooms->is_read(1));
    try {
      rooms->wait_until_written(1);
    } catch (const InputError& error) {
      return error.what();
    }
    return "";
  });
  CHECK(messages[0] == "Expected more memory");
}
