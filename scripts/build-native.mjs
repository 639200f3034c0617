// Builds the addon with cmake-js into build/Release. Other arguments are CMake settings: --CRITICAL_SHARPNESS_CUDA=ON.
import { copyFileSync, existsSync, mkdirSync, renameSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { cmakeTools } from "./cmake-tools.mjs";
import { libtorchForBuild } from "./libtorch.mjs";
import { root, run, stop } from "./run.mjs";

const tools = cmakeTools();
const libtorch = await libtorchForBuild();
console.log(`libtorch ${libtorch.version} from ${libtorch.source}`);

const require = createRequire(import.meta.url);
const cmakeJs = path.join(path.dirname(require.resolve("cmake-js/package.json")), "bin/cmake-js");
const out = path.join(root, "build/cmake");
const settings = [`--LIBTORCH_ROOT=${libtorch.root}`, ...process.argv.slice(2)].map((setting) =>
  setting.replace(/^--/, "--CD"),
);
const options = ["--directory", root, "--out", out, "--generator", "Ninja", "--config", "Release"];
// `cmake-js build` alone configures only when there is no cache: another libtorch would go unnoticed.
for (const command of ["configure", "build"])
  run(process.execPath, [cmakeJs, command, ...options, "--log-level", "error", ...settings], tools);

const built = ["Release/critical_sharpness.node", "critical_sharpness.node"]
  .map((file) => path.join(out, file))
  .find(existsSync);
if (!built) stop(`Expected critical_sharpness.node in "${out}" after the build but received none`);
mkdirSync(path.join(root, "build/Release"), { recursive: true });
const addon = path.join(root, "build/Release/critical_sharpness.node");
// By way of a rename: a process that runs on the old file keeps it.
copyFileSync(built, `${addon}.new`);
renameSync(`${addon}.new`, addon);
const { writeBuildNote } = await import("../dist/native/build-note.js");
writeBuildNote(libtorch);
