// Builds the addon with cmake-js into build/Release. --cuda demands the CUDA variant, --no-cuda leaves it out; without either
// it is built where libtorch is a CUDA build and nvcc is found. Other arguments are CMake settings:
// --CRITICAL_SHARPNESS_CUDA_ARCHITECTURES=90.
import { copyFileSync, existsSync, mkdirSync, renameSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { cmakeTools, forgetMovedBuild } from "./cmake-tools.mjs";
import { cudaVariant } from "./cuda-tools.mjs";
import { libtorchForBuild } from "./libtorch.mjs";
import { root, run, stop } from "./run.mjs";

const tools = cmakeTools();
const libtorch = await libtorchForBuild();
const choices = ["--cuda", "--no-cuda"];
const { nvcc, note, problem } = cudaVariant(
  process.argv.find((a) => choices.includes(a)),
  libtorch,
);
if (problem) stop(problem);
console.log(`libtorch ${libtorch.version} from ${libtorch.source}${nvcc ? `, with CUDA by ${nvcc}` : ""}`);
if (note) console.log(note);

const out = path.join(root, "build/cmake");
forgetMovedBuild(out);
const settings = {
  LIBTORCH_ROOT: libtorch.root,
  CRITICAL_SHARPNESS_CUDA: nvcc ? "ON" : "OFF",
  ...(nvcc && { CRITICAL_SHARPNESS_NVCC: nvcc }),
};
const given = process.argv.slice(2).filter((argument) => !choices.includes(argument));
const assignments = [
  ...Object.entries(settings).map(([name, value]) => `${name}=${value}`),
  ...given.map((setting) => setting.replace(/^--/, "")),
];
const cmakeJs = findCmakeJs();
if (cmakeJs) {
  const options = ["--directory", root, "--out", out, "--generator", "Ninja", "--config", "Release"];
  // `cmake-js build` alone configures only when there is no cache: another libtorch would go unnoticed.
  for (const command of ["configure", "build"])
    run(
      process.execPath,
      [cmakeJs, command, ...options, "--log-level", "error", ...assignments.map((a) => `--CD${a}`)],
      tools,
    );
} else {
  const options = ["-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release", "--log-level=WARNING"];
  run("cmake", ["-S", root, "-B", out, ...options, ...assignments.map((a) => `-D${a}`)], tools);
  run("cmake", ["--build", out], tools);
}

const built = ["Release/critical_sharpness.node", "critical_sharpness.node"]
  .map((file) => path.join(out, file))
  .find(existsSync);
if (!built) stop(`Expected critical_sharpness.node in "${out}" after the build but received none`);
mkdirSync(path.join(root, "build/Release"), { recursive: true });
const addon = path.join(root, "build/Release/critical_sharpness.node");
// By way of a rename: a process that runs on the old file keeps it.
copyFileSync(built, `${addon}.new`);
renameSync(`${addon}.new`, addon);
const { writeBuildNote } = await import("../dist/torch/locate-libtorch.js");
writeBuildNote({ ...libtorch, cuda: nvcc !== undefined });

/** cmake-js, which knows what other systems' linkers want; the archive of scripts/pack-gpu.mjs does without. */
function findCmakeJs() {
  try {
    const { resolve } = createRequire(import.meta.url);
    return path.join(path.dirname(resolve("cmake-js/package.json")), "bin/cmake-js");
  } catch {
    return undefined;
  }
}
