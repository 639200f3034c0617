// The numerical tests as other CPUs would run them: libtorch, MKL and oneDNN take the code paths of older ones, which round in another
// order. Last, beside a busy process, with those tests that time might decide. Arguments: parts of the settings' names; without any,
// all run; "busy" is the last.
import { spawn, spawnSync } from "node:child_process";
import { root, stop } from "./run.mjs";

const numerical = [
  "test/golden",
  "test/curvature",
  "test/measures",
  "test/optimizers",
  "test/search",
  "test/models/families",
];
const settings = [
  { variables: { ATEN_CPU_CAPABILITY: "default" } },
  { variables: { ATEN_CPU_CAPABILITY: "avx2" } },
  { variables: { MKL_CBWR: "COMPATIBLE" } },
  { variables: { MKL_CBWR: "AVX2" } },
  { variables: { ONEDNN_MAX_CPU_ISA: "AVX2" } },
  { variables: { MKL_CBWR: "COMPATIBLE" }, busy: true, more: ["test/native", "test/native-loading"] },
].map((setting) => ({ ...setting, name: nameOf(setting) }));

function nameOf({ variables, busy }) {
  const text = Object.entries(variables).map(([name, value]) => `${name}=${value}`);
  return text.join(" ") + (busy ? " beside a busy process" : "");
}

const given = process.argv.slice(2);
const chosen = settings.filter(
  ({ name }) =>
    given.length === 0 || given.some((part) => part === name || (part === "busy" && /busy/.test(name))),
);
if (chosen.length === 0)
  stop(
    `Expected some of ${settings.map(({ name }) => `"${name}"`).join(", ")}, or busy, but received ${given}`,
  );

const failed = [];
for (const { name, variables, busy, more = [] } of chosen) {
  console.log(`\n> ${name}`);
  const loop = busy ? spawn(process.execPath, ["-e", "for (;;);"], { stdio: "ignore" }) : undefined;
  const { status } = spawnSync("npx", ["vitest", "run", ...numerical, ...more, "--reporter=dot"], {
    cwd: root,
    stdio: "inherit",
    env: { ...process.env, ...variables },
  });
  loop?.kill();
  if (status !== 0) failed.push(name);
}
console.log(failed.length ? `\nFailed: ${failed.join("; ")}` : `\n${chosen.length} settings passed`);
process.exitCode = failed.length ? 1 : 0;
