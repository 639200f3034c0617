#pragma once
// The ranks of a group as threads of this process.
#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "fake_nccl.hpp"
#include "ranks/group.hpp"

namespace critical_sharpness::test {

/// Groups of so many ranks. A transfer copies when it is received, from where the sender's bytes lie: who changes them before they
/// were waited for, or reads too early, has other numbers.
std::vector<std::shared_ptr<Group>> thread_groups(int size);

/// The same, whose data go by NcclLink over the fake NCCL.
std::vector<std::shared_ptr<Group>> nccl_groups(int size, std::chrono::milliseconds timeout = std::chrono::seconds(60),
                                                const nccl::Functions& functions = fake_nccl());

/// What body(group) returns on every rank. Throws what the first of them threw.
template <class Body>
auto on_ranks(const std::vector<std::shared_ptr<Group>>& groups, const Body& body) {
  using Result = decltype(body(std::shared_ptr<Group>()));
  std::vector<Result> results(groups.size());
  std::vector<std::exception_ptr> failures(groups.size());
  std::vector<std::thread> threads;
  for (size_t r = 0; r < results.size(); r++)
    threads.emplace_back([&, r] {
      try {
        results[r] = body(groups[r]);
      } catch (...) {
        failures[r] = std::current_exception();
      }
    });
  for (auto& thread : threads) thread.join();
  for (const auto& failure : failures)
    if (failure) std::rethrow_exception(failure);
  return results;
}
template <class Body>
auto on_ranks(int size, const Body& body) {
  return on_ranks(thread_groups(size), body);
}

}  // namespace critical_sharpness::test
