#pragma once
// The part of CUDA that native/cuda's kernels use, on the CPU: blocks run one after another, the threads of a block as threads.
// What it cannot show is what only a GPU has: warps, memory that is not shared, speed.
#include <barrier>
#include <memory>
#include <thread>
#include <vector>

#define __global__
#define __device__
#define __grid_constant__
#define __shared__ static  // one block at a time

namespace critical_sharpness::cuda::emulation {

struct Index {
  unsigned x = 0;
};
inline std::unique_ptr<std::barrier<>> barrier;

}  // namespace critical_sharpness::cuda::emulation

inline thread_local critical_sharpness::cuda::emulation::Index blockIdx, threadIdx;

inline void __syncthreads() { critical_sharpness::cuda::emulation::barrier->arrive_and_wait(); }

namespace critical_sharpness::cuda::emulation {

template <class Kernel>
void run(const Kernel& kernel, unsigned blocks, unsigned threads) {
  barrier = std::make_unique<std::barrier<>>(static_cast<std::ptrdiff_t>(threads));
  std::vector<std::thread> running;
  for (unsigned thread = 0; thread < threads; thread++)
    running.emplace_back([&kernel, blocks, thread] {
      threadIdx.x = thread;
      for (blockIdx.x = 0; blockIdx.x < blocks; blockIdx.x++) {
        kernel();
        __syncthreads();
      }
    });
  for (auto& thread : running) thread.join();
}

}  // namespace critical_sharpness::cuda::emulation
