import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // A process each: what a test does to the compute thread or to the process stays its own.
    pool: "forks",
    maxWorkers: 2,
    // Two workers with a thread for each core would get in each other's way.
    env: { OMP_NUM_THREADS: "1" },
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
