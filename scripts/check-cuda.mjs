// `npm run check:cuda [-- --torch VERSION] [--architectures 90] [--build-only]`: whether the CUDA variant builds and passes the
// CPU tests on a machine without a GPU. Takes the CUDA PyTorch and nvcc from PyPI (about 3 GB, into build/cuda/), builds a copy
// of the sources against it, runs all tests with that build, and writes bench/results/cuda-build.md.
import { execFileSync, spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { cudaOf } from "./cuda-tools.mjs";
import { root, run, stop } from "./run.mjs";

run("npm", ["run", "--silent", "build:ts"]);
const { libtorchVersion } = await import("../dist/torch/libtorch.js");
const { values } = parseArgs({
  options: {
    torch: { type: "string", default: libtorchVersion },
    architectures: { type: "string", default: "80;90" },
    "build-only": { type: "boolean", default: false },
  },
});
const folder = path.join(root, "build/cuda", values.torch);
const python = path.join(folder, "venv/bin/python");
const checkout = path.join(folder, "checkout");

const minutes = async (body) => {
  const started = performance.now();
  await body();
  return (performance.now() - started) / 60_000;
};
const pip = (...packages) => run(python, ["-m", "pip", "install", "--quiet", "--no-compile", ...packages]);

const download = await minutes(() => {
  mkdirSync(folder, { recursive: true });
  if (!existsSync(python)) run(process.env.PYTHON || "python3", ["-m", "venv", path.join(folder, "venv")]);
  // ===: a local version such as 2.13.0+cpu is another build.
  pip(`torch===${values.torch}`, "numpy");
});
const libtorch = { root: torchFolder() };
const cuda = cudaOf(libtorch);
if (!cuda)
  stop(`Expected a CUDA build for torch===${values.torch} but received a CPU build in "${libtorch.root}"`);
pip(
  ...["nvcc", "crt"].map((part) => `nvidia-cuda-${part}==${cuda}.*`),
  `nvidia-nvvm==${cuda}.*`,
  `nvidia-cuda-cccl==${cuda}.*`,
);

copySources();
const environment = { LIBTORCH_USE_PYTORCH: "1", PYTHON: python };
inCheckout(
  process.execPath,
  ["scripts/build-native.mjs", "--cuda", `--CRITICAL_SHARPNESS_CUDA_ARCHITECTURES=${values.architectures}`],
  environment,
);
if (values["build-only"]) process.exit(0);
const report = path.join(folder, "vitest.json");
rmSync(report, { force: true });
const testing = await minutes(() =>
  // Without a probe in a child process each: it loads 3 GB of libraries once more.
  inCheckout(
    "npx",
    ["vitest", "run", "--reporter=default", "--reporter=json", `--outputFile=${report}`],
    { CRITICAL_SHARPNESS_PROBE: "0" },
    false,
  ),
);
const results = JSON.parse(readFileSync(report, "utf8"));
record(results);
console.log(`\n${results.numPassedTests} passed, ${results.numFailedTests} failed`);
process.exitCode = results.numFailedTests === 0 && results.numPassedTests > 0 ? 0 : 1;

function torchFolder() {
  const code = "import importlib.util as u; print(u.find_spec('torch').submodule_search_locations[0])";
  return execFileSync(python, ["-c", code], { encoding: "utf8" }).trim();
}

/** Tracked files as they are now, and what they need: a build of its own, which leaves the checkout's alone. */
function copySources() {
  // A second configuration of the linter would be one too many.
  for (const name of execFileSync("git", ["ls-files"], { cwd: root, encoding: "utf8" }).trim().split("\n"))
    if (name !== "biome.json" && existsSync(path.join(root, name)))
      cpSync(path.join(root, name), path.join(checkout, name));
  rmSync(path.join(checkout, "dist"), { recursive: true, force: true });
  cpSync(path.join(root, "dist"), path.join(checkout, "dist"), { recursive: true });
  const modules = path.join(checkout, "node_modules");
  if (!existsSync(modules)) symlinkSync(path.join(root, "node_modules"), modules);
}

function inCheckout(command, args, variables, mustPass = true) {
  const { status, error } = spawnSync(command, args, {
    cwd: checkout,
    stdio: "inherit",
    env: { ...process.env, ...variables },
  });
  if (error || (mustPass && status !== 0))
    stop(`${path.basename(command)} ${args[0]} failed: ${error?.message ?? status}`);
}

function record({ numPassedTests, numFailedTests, numPendingTests, testResults }) {
  const addon = path.join(checkout, "build/Release/critical_sharpness.node");
  const failed = testResults
    .flatMap(({ assertionResults, name }) => assertionResults.map((test) => ({ ...test, name })))
    .filter(({ status }) => status === "failed")
    .map(({ fullName, name }) => `- ${path.relative(checkout, name)}: ${fullName}`);
  const lines = [
    "# The CUDA variant on a machine without a GPU",
    "",
    `${new Date().toISOString().slice(0, 10)}, ${os.cpus()[0]?.model}, ${os.availableParallelism()} cores. \`npm run check:cuda -- --torch ${values.torch} --architectures "${values.architectures}"\``,
    "",
    "| what | measured |",
    "| --- | --- |",
    `| libtorch | ${values.torch}, PyPI's CUDA build, CUDA ${cuda} |`,
    `| virtual environment made or brought up to date in | ${download.toFixed(1)} minutes |`,
    `| sources compiled and linked | for compute capabilities ${values.architectures.replaceAll(";", ", ")} |`,
    `| size of the addon | ${(statSync(addon).size / 1e6).toFixed(1)} MB |`,
    `| CPU tests with this build | ${numPassedTests} passed, ${numFailedTests} failed, ${numPendingTests} skipped, in ${testing.toFixed(1)} minutes |`,
    "| a GPU's tests and benchmarks (`npm run test:gpu`, `npm run bench:gpu`) | not run: this machine has none |",
    "",
    ...(failed.length ? ["Failed:", "", ...failed, ""] : []),
  ];
  writeFileSync(path.join(root, "bench/results/cuda-build.md"), lines.join("\n"));
}
