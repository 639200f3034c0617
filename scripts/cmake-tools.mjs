// What a native build needs beside libtorch: a compiler, cmake and ninja.
import { existsSync, readFileSync, realpathSync, rmSync } from "node:fs";
import path from "node:path";
import { root, run, stop, works } from "./run.mjs";

/**
 * Environment variables with which `cmake`, `ninja` and a C++ compiler run: the machine's own, or cmake and ninja from pip
 * in a virtual environment under build/.
 */
export function cmakeTools() {
  const compiler = process.env.CXX || "c++";
  if (!works(compiler))
    stop(
      `Expected a C++20 compiler but "${compiler}" does not run. On Debian or Ubuntu run \`apt-get install g++\`, or set CXX`,
    );
  if (works("cmake") && works("ninja")) return {};
  const python = process.env.PYTHON || "python3";
  const venv = path.join(root, "build/tools");
  const environment = { PATH: `${path.join(venv, "bin")}${path.delimiter}${process.env.PATH}` };
  if (works("cmake", environment) && works("ninja", environment)) return environment;
  if (!works(python))
    stop(
      `Expected cmake and ninja, or a Python with pip to install them, but received neither: "${python}" does not run. On Debian or Ubuntu run \`apt-get install cmake ninja-build\``,
    );
  const pip = path.join(venv, "bin/pip");
  // --clear: an environment that was left half made has no pip, and would never get one.
  if (!works(pip)) run(python, ["-m", "venv", "--clear", venv]);
  run(pip, ["install", "--quiet", "cmake>=3.22,<4", "ninja"]);
  return environment;
}

/**
 * Removes a build folder whose CMake cache was made in another place: CMake refuses it in a checkout that was moved or copied.
 *
 * @param source the folder of CMakeLists.txt
 */
export function forgetMovedBuild(folder, source = root) {
  const cache = path.join(folder, "CMakeCache.txt");
  if (!existsSync(cache)) return;
  const text = readFileSync(cache, "utf8");
  const made = (name) => new RegExp(`^${name}:INTERNAL=(.*)$`, "m").exec(text)?.[1];
  const same = (recorded, now) =>
    recorded !== undefined && existsSync(recorded) && realpathSync(recorded) === realpathSync(now);
  if (same(made("CMAKE_HOME_DIRECTORY"), source) && same(made("CMAKE_CACHEFILE_DIR"), folder)) return;
  console.log(`Building anew: ${folder} was made in ${made("CMAKE_HOME_DIRECTORY") ?? "another place"}`);
  rmSync(folder, { recursive: true, force: true });
}
