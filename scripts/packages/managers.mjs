// How npm, pnpm and Yarn install a local tarball, run Node.js on it and remove it.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import path from "node:path";

/** A program's standard output; throws with the end of what it said unless it ended with 0. */
function output(program, args, { folder, environment }) {
  const { status, signal, stdout, stderr, error } = spawnSync(path.resolve(environment.PATH, program), args, {
    cwd: folder,
    env: environment,
    encoding: "utf8",
    timeout: 300_000,
    maxBuffer: 1 << 26,
  });
  if (status === 0) return stdout;
  const said = `${stdout ?? ""}${stderr ?? ""}`.trim().slice(-1500);
  throw new Error(`${program} ${args.join(" ")} ended with ${error?.message ?? signal ?? status}: ${said}`);
}

/** Nothing of this project may be left in node_modules. */
function expectGone(folder) {
  for (const name of ["critical-sharpness", "@critical-sharpness"]) {
    const place = path.join(folder, "node_modules", name);
    if (existsSync(place) && readdirSync(place).length > 0)
      throw new Error(`Expected ${name} to be removed but node_modules has it`);
  }
}

const onNode = (folder, environment, args, node = "node") => output(node, args, { folder, environment });

export const managers = {
  npm: {
    overrides: (platform) => ({ overrides: platform }),
    install: (folder, environment, scripts) =>
      void output("npm", ["install", ...(scripts ? [] : ["--ignore-scripts"])], { folder, environment }),
    node: onNode,
    remove(folder, environment) {
      output("npm", ["uninstall", "critical-sharpness"], { folder, environment });
      expectGone(folder);
    },
  },
  pnpm: {
    overrides: (platform) => ({ pnpm: { overrides: platform } }),
    install: (folder, environment, scripts) =>
      void output("pnpm", ["install", "--no-frozen-lockfile", ...(scripts ? [] : ["--ignore-scripts"])], {
        folder,
        environment,
      }),
    node: onNode,
    remove(folder, environment) {
      output("pnpm", ["remove", "critical-sharpness"], { folder, environment });
      expectGone(folder);
    },
  },
  // With Plug'n'Play, its default: there is no node_modules.
  yarn: yarn("pnp"),
  "yarn-node-modules": yarn("node-modules"),
};

function yarn(linker) {
  const on = (environment, scripts = false) => ({
    ...environment,
    YARN_NODE_LINKER: linker,
    YARN_ENABLE_SCRIPTS: String(scripts),
  });
  return {
    // require() of an ES module does not ask the loader by which Plug'n'Play finds packages.
    without: linker === "pnp" ? ["require"] : [],
    overrides: (platform) => ({ resolutions: platform }),
    install: (folder, environment, scripts) =>
      void output("yarn", ["install", "--no-immutable"], { folder, environment: on(environment, scripts) }),
    node: (folder, environment, args) =>
      output("yarn", ["node", ...args], { folder, environment: on(environment) }),
    remove(folder, environment) {
      output("yarn", ["remove", "critical-sharpness"], { folder, environment: on(environment) });
      expectGone(folder);
    },
  };
}
