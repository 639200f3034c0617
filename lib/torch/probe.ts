import { spawnSync } from "node:child_process";
import path from "node:path";
import { CriticalSharpnessError } from "../errors.js";
import type { ForwardPass } from "./forward-pass.js";
import type { LibtorchTree } from "./libtorch.js";
import { packageRoot } from "./locate-libtorch.js";
import { lastLine } from "./python.js";

const _classes = 10;

/** Set in the child process, which does not probe again; a user may set it to "0" and do without. */
const variable = "CRITICAL_SHARPNESS_PROBE";
const minutes = 60_000;

/**
 * Loads a libtorch and the addon in a child process first: one that does not fit the machine (its CUDA driver, above all) may
 * end the process that loads it. Costs the time of loading it once more; CRITICAL_SHARPNESS_PROBE=0 leaves it out.
 *
 * @throws CriticalSharpnessError `ERR_LIBTORCH_LOAD` with what the child said or how it ended.
 */
export function probe(tree: LibtorchTree): void {
  if (process.env[variable] === "0") return;
  const failure = runChild(tree).problem;
  if (failure === undefined) return;
  throw new CriticalSharpnessError(
    "ERR_LIBTORCH_LOAD",
    `Expected a CUDA libtorch that loads for ${tree.source} but received "${tree.root}": ${failure}. Run \`nvidia-smi\` to see whether the driver works and which CUDA version it supports, or use a CPU libtorch: unset CRITICAL_SHARPNESS_LIBTORCH, LIBTORCH and LIBTORCH_USE_PYTORCH`,
  );
}

/** A forward pass on a device in a child process, which a driver that does not fit may end. Never throws. */
export function tryForwardPassInChild(device: string, tree: Pick<LibtorchTree, "root">): ForwardPass {
  const { stdout, problem } = runChild(tree, device);
  if (problem !== undefined) return { device, milliseconds: null, problem };
  return JSON.parse(stdout) as ForwardPass;
}

/** Runs probe-child.js. `problem`: how it ended and what it said, if it did not end well. */
function runChild({ root }: Pick<LibtorchTree, "root">, ...args: string[]) {
  const child = path.join(packageRoot, "dist/torch/probe-child.js");
  const { status, signal, stdout, stderr, error } = spawnSync(process.execPath, [child, ...args], {
    encoding: "utf8",
    timeout: 3 * minutes,
    // The same libtorch, whatever named it. Where the executable is Electron's, it is to be Node.js.
    env: {
      ...process.env,
      CRITICAL_SHARPNESS_LIBTORCH: root,
      [variable]: "0",
      ELECTRON_RUN_AS_NODE: "1",
      NODE_OPTIONS: "",
    },
  });
  if (status === 0) return { stdout };
  const ended = signal ? `was ended by ${signal}` : `ended with ${status ?? error?.message}`;
  const said = lastLine(stderr);
  return { stdout, problem: `a child process that tried ${ended}${said ? ` and said: ${said}` : ""}` };
}
