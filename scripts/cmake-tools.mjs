// cmake and ninja: the machine's own, or pip's in a virtual environment under build/.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import path from "node:path";
import { root, run, stop } from "./run.mjs";

const works = (command, environment) =>
  spawnSync(command, ["--version"], { env: { ...process.env, ...environment } }).status === 0;

/** Environment variables with which `cmake` and `ninja` run. */
export function cmakeTools() {
  if (works("cmake") && works("ninja")) return {};
  const venv = path.join(root, "build/tools");
  const environment = { PATH: `${path.join(venv, "bin")}${path.delimiter}${process.env.PATH}` };
  if (!existsSync(path.join(venv, "bin/cmake"))) {
    if (!works("python3"))
      stop(
        "Expected cmake and ninja, or a python3 with pip to install them, but found neither. On Debian or Ubuntu: apt-get install cmake ninja-build",
      );
    run("python3", ["-m", "venv", venv]);
    run(path.join(venv, "bin/pip"), ["install", "--quiet", "cmake>=3.22,<4", "ninja"]);
  }
  return environment;
}
