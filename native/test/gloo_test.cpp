#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>

#include <thread>

#include "check.hpp"
#include "ranks/gloo_group.hpp"
#include "support.hpp"

using namespace critical_sharpness;
using namespace critical_sharpness::test;

namespace {

/// A socket that listens on a free port of the loopback.
std::pair<int, uint16_t> listening_socket() {
  const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  TORCH_CHECK(bind(socket, reinterpret_cast<sockaddr*>(&address), length) == 0 && listen(socket, 128) == 0 &&
              getsockname(socket, reinterpret_cast<sockaddr*>(&address), &length) == 0);
  return {socket, ntohs(address.sin_port)};
}

template <class Body>
void on_gloo(int size, const Body& body) {
  const auto [socket, port] = listening_socket();
  std::vector<std::thread> threads;
  for (int rank = 0; rank < size; rank++)
    threads.emplace_back([&, rank, socket = socket, port = port] {
      Rendezvous where;
      where.port = port;
      where.rank = rank;
      where.size = size;
      where.prefix = "test";
      where.interface = "lo";
      where.name = "thread " + std::to_string(rank);
      where.join_timeout = where.timeout = std::chrono::seconds(20);
      if (rank == 0) where.listening_socket = socket;
      body(join_group(where));
    });
  for (auto& thread : threads) thread.join();
}

}  // namespace

TEST("gloo: gathers and exchanges of every size, in order") {
  on_gloo(3, [](const std::shared_ptr<Group>& group) {
    const int rank = group->rank();
    for (int64_t count : {int64_t{1}, int64_t{1000}, int64_t{1} << 20, int64_t{0}}) {
      std::vector<at::Tensor> outs;
      std::vector<Pending> pending;
      const at::Tensor in = random_tensor({count}, at::kFloat, static_cast<uint64_t>(rank));
      const auto sent = [&](int from, int to) { return random_tensor({count}, at::kFloat, static_cast<uint64_t>(100 + 10 * from + to)); };
      const at::Tensor parts = at::cat({sent(rank, rank == 0 ? 1 : 0), sent(rank, rank == 2 ? 1 : 2)}).view({2, count});
      outs.push_back(at::empty({3, count}, at::kFloat));
      pending.push_back(group->start_all_gather(outs[0], in));
      outs.push_back(at::empty({3, count}, at::kFloat));
      outs[1][rank] = sent(rank, rank);
      pending.push_back(group->start_exchange(outs[1], parts));
      for (auto& p : pending) p.wait();
      for (int r = 0; r < 3; r++) {
        CHECK(same_bits(outs[0].select(0, r), random_tensor({count}, at::kFloat, static_cast<uint64_t>(r))));
        CHECK(same_bits(outs[1].select(0, r), sent(r, rank)));
      }
      CHECK(group->all_gather({1.5 * rank, -0.0})[2] == std::vector<double>({3, -0.0}));
    }
  });
}

TEST("gloo: one that fails takes the others out of what they wait for, and says why") {
  on_gloo(2, [](const std::shared_ptr<Group>& group) {
    std::string told;
    try {
      group->call({"count", {}}, {}, [&]() -> int {
        if (group->rank() == 1) throw std::runtime_error("no memory left");
        group->all_gather({1});
        return 0;
      });
    } catch (const std::exception& error) {
      told = error.what();
    }
    CHECK(told == (group->rank() == 1 ? "no memory left" : "Expected rank 1 to finish \"count\" but received: no memory left"));
    CHECK_CODE(group->all_gather({1}), "ERR_RANK_LOST");
  });
}

TEST("gloo: another thread ends what a rank is in the middle of, at any moment and on both ranks, told or not") {
  for (int i = 0; i < 6; i++)
    on_gloo(2, [i](const std::shared_ptr<Group>& group) {
      std::thread other;
      if (group->rank() == 0)
        other = std::thread([group, i] {
          std::this_thread::sleep_for(std::chrono::milliseconds(5 * i));
          if (i % 2) group->close("Expected more but received an end");
          else group->leave();
        });
      CHECK_CODE([&] { for (;;) group->all_gather({1}); }(), "ERR_RANK_LOST");
      if (other.joinable()) other.join();
    });
}

TEST("gloo: a rank that never comes is named") {
  Rendezvous where;
  const auto [socket, port] = listening_socket();
  where.listening_socket = socket;
  where.port = port;
  where.size = 3;
  where.interface = "lo";
  where.join_timeout = std::chrono::milliseconds(1500);
  try {
    join_group(where);
    CHECK(false);
  } catch (const InputError& error) {
    CHECK(error.code == "ERR_GROUP");
    CHECK(std::string(error.what()) == "Expected 3 ranks within 1 s but received 1: without rank 1, 2");
  }
}
