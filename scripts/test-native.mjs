// Builds the C++ tests of native/core with AddressSanitizer and UndefinedBehaviorSanitizer and runs them.
// Arguments: parts of the names of the tests to run; without any, all run.
import path from "node:path";
import { cmakeTools, forgetMovedBuild } from "./cmake-tools.mjs";
import { libtorchForBuild } from "./libtorch.mjs";
import { root, run } from "./run.mjs";

const tools = cmakeTools();
const libtorch = await libtorchForBuild();
const out = path.join(root, "build/sanitize");
forgetMovedBuild(out);
const settings = [
  `-DLIBTORCH_ROOT=${libtorch.root}`,
  "-DCRITICAL_SHARPNESS_TESTS=ON",
  "-DCRITICAL_SHARPNESS_SANITIZE=address,undefined",
  "-DCMAKE_BUILD_TYPE=Release",
  "-DCMAKE_CXX_FLAGS_RELEASE=-O1", // without NDEBUG: assertions count
];
run("cmake", ["-S", root, "-B", out, "-G", "Ninja", "--log-level=WARNING", ...settings], tools);
run("cmake", ["--build", out], tools);
run(path.join(out, "core_tests"), process.argv.slice(2), {
  ASAN_OPTIONS: "detect_leaks=1:detect_stack_use_after_return=1",
  UBSAN_OPTIONS: "print_stacktrace=1",
});
