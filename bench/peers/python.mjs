// A Python process that does what it is told, one JSON line at a time, so that both sides run in turns.
import { spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import path from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const here = path.dirname(fileURLToPath(import.meta.url));
const venv = path.join(here, "../../build/peers");

/** The Python that CRITICAL_SHARPNESS_PYTHON names, or that of a virtual environment with the peers, made here. */
export function peersPython() {
  const given = process.env.CRITICAL_SHARPNESS_PYTHON;
  if (given) return given;
  const python = path.join(venv, "bin/python");
  const requirements = path.join(here, "requirements.txt");
  const run = (command, args) => {
    const { status } = spawnSync(command, args, { stdio: ["ignore", 2, 2] });
    if (status !== 0)
      throw new Error(`Expected to install the Python peers but ${command} ${args[0]} failed`);
  };
  if (!existsSync(python)) run("python3", ["-m", "venv", "--clear", venv]);
  run(python, ["-m", "pip", "install", "--quiet", "-r", requirements]);
  return python;
}

/** Starts one of the scripts beside this file. `ask` sends a request and gives its answer. */
export function startPeer(script, args, environment = {}) {
  const child = spawn(peersPython(), [path.join(here, script), ...args], {
    stdio: ["pipe", "pipe", "inherit"],
    env: { ...process.env, ...environment },
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    async ask(request) {
      child.stdin.write(`${JSON.stringify(request)}\n`);
      const { value, done } = await lines.next();
      if (done) throw new Error(`Expected an answer to ${request.command} but ${script} ended`);
      return JSON.parse(value);
    },
    stop() {
      child.stdin.end();
      child.kill();
    },
  };
}
