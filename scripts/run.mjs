// What the scripts share: running a command, and stopping with one line.
import { spawnSync } from "node:child_process";
import path from "node:path";
import { fileURLToPath } from "node:url";

export const root = path.join(path.dirname(fileURLToPath(import.meta.url)), "..");

export function stop(message) {
  console.error(message);
  process.exit(1);
}

/** Whether a command can be run: it answers `--version` with exit code 0. */
export function works(command, environment = {}) {
  return spawnSync(command, ["--version"], { env: { ...process.env, ...environment } }).status === 0;
}

/** Runs a command in the project's folder with its output shown; ends the script if it fails. */
export function run(command, args, environment = {}) {
  const { status, error, signal } = spawnSync(command, args, {
    cwd: root,
    stdio: "inherit",
    env: { ...process.env, ...environment },
  });
  if (error) stop(`Expected to run ${command} but received: ${error.message}`);
  if (status !== 0)
    stop(
      `${path.basename(command)} ${args[0] ?? ""} failed${signal ? ` by ${signal}` : ` with exit code ${status}`}`,
    );
}
