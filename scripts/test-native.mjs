// Builds the C++ tests of native/core with sanitizers and runs them: with AddressSanitizer and UndefinedBehaviorSanitizer or,
// with --threads, ThreadSanitizer those that have threads.
// Other arguments: parts of the names of the tests to run instead.
import path from "node:path";
import { parseArgs } from "node:util";
import { cmakeTools, forgetMovedBuild } from "./cmake-tools.mjs";
import { libtorchForBuild } from "./libtorch.mjs";
import { root, run } from "./run.mjs";

const { values, positionals } = parseArgs({
  options: { threads: { type: "boolean" } },
  allowPositionals: true,
});
const kind = values.threads
  ? {
      folder: "build/threads",
      sanitizers: "thread",
      // Not "cuda:", whose emulation has 256 threads that meet at every __syncthreads: it takes minutes where it is named.
      tests: ["ranks:", "gloo:", "cancellation:", "stretches:", "of many chunks and threads"],
      environment: {
        OMP_NUM_THREADS: "1", // libgomp is not instrumented: what its threads wait for each other by is not seen
        TSAN_OPTIONS: "suppressions=native/test/thread_sanitizer.txt:history_size=7:second_deadlock_stack=1",
      },
    }
  : {
      folder: "build/sanitize",
      sanitizers: "address,undefined",
      tests: [],
      environment: {
        ASAN_OPTIONS: "detect_leaks=1:detect_stack_use_after_return=1",
        UBSAN_OPTIONS: "print_stacktrace=1",
      },
    };

const tools = cmakeTools();
const libtorch = await libtorchForBuild();
const out = path.join(root, kind.folder);
forgetMovedBuild(out);
const settings = [
  `-DLIBTORCH_ROOT=${libtorch.root}`,
  "-DCRITICAL_SHARPNESS_TESTS=ON",
  `-DCRITICAL_SHARPNESS_SANITIZE=${kind.sanitizers}`,
  "-DCMAKE_BUILD_TYPE=Release",
  "-DCMAKE_CXX_FLAGS_RELEASE=-O1", // without NDEBUG: assertions count
];
run("cmake", ["-S", root, "-B", out, "-G", "Ninja", "--log-level=WARNING", ...settings], tools);
run("cmake", ["--build", out], tools);
run(path.join(out, "core_tests"), positionals.length ? positionals : kind.tests, kind.environment);
