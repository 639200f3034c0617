// Builds the addon with cmake-js into build/Release, against the libtorch that is found or, failing that, fetched.
// Arguments: --tests builds and runs the C++ tests under sanitizers instead.
import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { cmakeTools } from "./cmake-tools.mjs";
import { root, run, stop } from "./run.mjs";

if (!existsSync(path.join(root, "dist/native/locate-libtorch.js")))
  run("npm", ["run", "--silent", "build:ts"]);
const { locateLibtorch, buildNote } = await import("../dist/native/locate-libtorch.js");
const { fetchLibtorch } = await import("./fetch-libtorch.mjs");

if (spawnSync(process.env.CXX ?? "c++", ["--version"]).status !== 0)
  stop("Expected a C++20 compiler but found none. On Debian or Ubuntu: apt-get install g++");

let tree;
try {
  tree = locateLibtorch({ headers: true });
} catch (error) {
  const named =
    ["CRITICAL_SHARPNESS_LIBTORCH", "LIBTORCH"].some((name) => process.env[name]) ||
    process.env.LIBTORCH_USE_PYTORCH === "1";
  if (named || error.code !== "ERR_LIBTORCH_NOT_FOUND") stop(error.message);
  tree = await fetchLibtorch();
}
console.log(`libtorch ${tree.version} from ${tree.source}`);

const tools = cmakeTools();
const require = createRequire(import.meta.url);
if (process.argv.includes("--tests")) {
  const out = path.join(root, "build/tests");
  const settings = [
    `-DLIBTORCH_ROOT=${tree.root}`,
    "-DCRITICAL_SHARPNESS_TESTS=ON",
    "-DCRITICAL_SHARPNESS_SANITIZE=address,undefined",
    "-DCMAKE_BUILD_TYPE=Release",
    "-DCMAKE_CXX_FLAGS_RELEASE=-O1",
  ];
  run("cmake", ["-S", root, "-B", out, "-G", "Ninja", ...settings], tools);
  run("cmake", ["--build", out], tools);
  run(path.join(out, "core_tests"), process.argv.slice(3));
} else {
  const cmakeJs = path.join(path.dirname(require.resolve("cmake-js/package.json")), "bin/cmake-js");
  const out = path.join(root, "build/cmake");
  // `cmake-js build` alone configures only when there is no cache: another libtorch would go unnoticed.
  for (const command of ["configure", "build"])
    run(
      process.execPath,
      [
        cmakeJs,
        command,
        "--directory",
        root,
        "--out",
        out,
        "--generator",
        "Ninja",
        "--config",
        "Release",
        "--log-level",
        "error",
        `--CDLIBTORCH_ROOT=${tree.root}`,
      ],
      tools,
    );
  mkdirSync(path.join(root, "build/Release"), { recursive: true });
  const built = ["Release/critical_sharpness.node", "critical_sharpness.node"]
    .map((f) => path.join(out, f))
    .find(existsSync);
  copyFileSync(built, path.join(root, "build/Release/critical_sharpness.node"));
  writeFileSync(buildNote, `${JSON.stringify({ root: tree.root, version: tree.version })}\n`);
}
