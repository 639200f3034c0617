// What a native build needs beside libtorch: a compiler, cmake and ninja.
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
