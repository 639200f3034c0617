// `npm run check:packages -- DIR [--with npm,pnpm,yarn,yarn-node-modules] [--node FILE …]`: installs the tarballs that `npm run pack:all` left in
// DIR into empty folders, with package managers and nothing else on the PATH (no compiler, cmake or Python), computes with
// them, and removes everything. What --node names are other Node.js binaries that use what npm installed. The result goes to
// DIR/checked.json.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { managers } from "./packages/managers.mjs";
import { nodeOnly } from "./packages/node-only.mjs";
import { checks, writeProject } from "./packages/project.mjs";
import { stop } from "./run.mjs";

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    with: { type: "string", default: "npm,pnpm,yarn,yarn-node-modules" },
    node: { type: "string", multiple: true, default: [] },
  },
});
const [directory] = positionals;
if (!directory)
  stop("Usage: npm run check:packages -- DIR [--with npm,pnpm,yarn,yarn-node-modules] [--node FILE …]");
const { packages } = JSON.parse(readFileSync(path.join(directory, "packages.json"), "utf8"));
const tarballs = Object.fromEntries(packages.map(({ name, file }) => [name, path.resolve(directory, file)]));

const work = mkdtempSync(path.join(os.tmpdir(), "critical-sharpness-check-"));
process.once("exit", () => rmSync(work, { recursive: true, force: true }));
const environment = nodeOnly(work);
const passed = [];
let failures = 0;

function attempt(what, call) {
  const started = performance.now();
  try {
    const said = call();
    const seconds = Number(((performance.now() - started) / 1000).toFixed(1));
    passed.push({ what, seconds });
    console.log(`passed  ${what}, ${seconds} s${said ? `: ${said}` : ""}`);
    return true;
  } catch (error) {
    failures++;
    console.error(`FAILED  ${what}: ${error.message}`);
    return false;
  }
}

for (const name of values.with.split(","))
  for (const scripts of [true, false]) {
    const manager = managers[name];
    const label = `${name}${scripts ? "" : " --ignore-scripts"}`;
    const folder = path.join(work, label.replaceAll(" ", ""));
    writeProject(folder, manager, tarballs);
    if (!attempt(`${label}: install`, () => manager.install(folder, environment, scripts))) continue;
    const { without = [] } = manager;
    const possible = Object.entries(checks).filter(([what]) => !without.includes(what));
    for (const [what, check] of possible)
      attempt(`${label}: ${what}`, () => check(folder, (...args) => manager.node(folder, environment, args)));
    if (name === "npm" && scripts)
      for (const node of values.node)
        for (const [what, check] of Object.entries(checks))
          attempt(`${node}: ${what}`, () =>
            check(folder, (...args) => managers.npm.node(folder, environment, args, node)),
          );
    attempt(`${label}: remove`, () => manager.remove(folder, environment));
    rmSync(folder, { recursive: true });
  }

writeFileSync(path.join(directory, "checked.json"), `${JSON.stringify({ passed, failures }, null, 2)}\n`);
console.log(`${passed.length} package checks passed, ${failures} failed`);
process.exitCode = failures === 0 ? 0 : 1;
