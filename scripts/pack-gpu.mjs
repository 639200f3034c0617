// `npm run pack:gpu -- FILE.tar.xz`: what it takes to build against a CUDA PyTorch, and to run the tests and the benchmarks of
// GPUs, on a machine with python3, cmake, ninja, g++ and nvcc but without node, npm and network.
import {
  chmodSync,
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
} from "node:fs";
import os from "node:os";
import path from "node:path";
import { root, run, stop } from "./run.mjs";

const [file] = process.argv.slice(2);
if (!file?.endsWith(".tar.xz")) stop("Usage: npm run pack:gpu -- FILE.tar.xz");
/** Bytes that the archive may have. */
const limit = 26e6;

const sources = ["CMakeLists.txt", "LICENSE", "cmake", "dist", "native", "package.json"];
const folders = ["bench", "scripts", "test/gpu", "test/golden", "test/models/families"];
/** Drawing and downloading: imported when they are used, and not used here. */
const unneeded = ["@expo-google-fonts/inter", "@observablehq/plot", "@resvg/resvg-js", "linkedom"];
const forBuilding = ["node-addon-api", "node-api-headers"];

run("npm", ["run", "--silent", "build:ts"]);
const work = mkdtempSync(path.join(os.tmpdir(), "critical-sharpness-gpu-"));
process.once("exit", () => rmSync(work, { recursive: true, force: true }));
const top = path.join(work, "critical-sharpness-gpu");
mkdirSync(path.join(top, "bin"), { recursive: true });
for (const name of [...sources, ...folders])
  cpSync(path.join(root, name), path.join(top, name), {
    recursive: true,
    // Results of other machines and drawings are of no use there.
    filter: (from) => !/bench[\\/]results|__pycache__/.test(from),
  });
for (const name of closure([...forBuilding, ...dependencies(root)])) {
  const from = path.join("node_modules", name);
  cpSync(path.join(root, from), path.join(top, from), {
    recursive: true,
    filter: (source) => !/\.([cm]?ts|map|md)$/.test(source),
  });
}
const node = path.join(top, "bin/node");
copyFileSync(process.execPath, node);
run("strip", [node]);
copyFileSync(path.join(root, "scripts/gpu-run.sh"), path.join(top, "run"));
chmodSync(path.join(top, "run"), 0o755);

const out = path.resolve(file);
run("tar", [
  "-C",
  work,
  "--owner=0",
  "--group=0",
  "--sort=name",
  "-cf",
  out,
  "-I",
  "xz -T0 -9e",
  path.basename(top),
]);
const { size } = statSync(out);
if (size > limit) stop(`Expected at most ${limit} bytes for "${out}" but received ${size}`);
console.log(
  `${out}: ${(size / 1e6).toFixed(1)} MB. There: tar xf ${path.basename(out)} && critical-sharpness-gpu/run`,
);

function dependencies(folder) {
  const { dependencies = {} } = JSON.parse(readFileSync(path.join(folder, "package.json"), "utf8"));
  return Object.keys(dependencies).filter((name) => !unneeded.includes(name));
}

/** Packages and all that they depend on; every one lies at the top of node_modules. */
function closure(names, known = new Set()) {
  for (const name of names) {
    if (known.has(name)) continue;
    known.add(name);
    closure(dependencies(path.join(root, "node_modules", name)), known);
  }
  return known;
}
