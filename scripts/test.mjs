// `npm test`: lint, types, the C++ tests and the TypeScript tests. Everything runs, whatever fails before it; the last line
// has the counts.
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import path from "node:path";
import { root } from "./run.mjs";

const reports = path.join(root, "build/test-reports");
rmSync(reports, { recursive: true, force: true });
mkdirSync(reports, { recursive: true });

/** Runs a command; its standard output is shown or, with `read`, shown and returned. */
function step(command, args, read = false) {
  console.log(`\n> ${path.basename(command)} ${args.join(" ")}`);
  const { status, stdout, error } = spawnSync(command, args, {
    cwd: root,
    encoding: "utf8",
    stdio: ["ignore", read ? "pipe" : "inherit", "inherit"],
    maxBuffer: 1 << 28,
  });
  if (read) process.stdout.write(stdout ?? "");
  if (error) console.error(error.message);
  return { ok: status === 0, stdout: stdout ?? "" };
}

const count = { passed: 0, failed: 0 };
function add(passed, failed, ok) {
  count.passed += passed;
  // A command that ends badly without a failed test (a crash, a linter) counts as one failure.
  count.failed += failed || (ok ? 0 : 1);
}

for (const script of ["lint", "typecheck"]) add(0, 0, step("npm", ["run", "--silent", script]).ok);

const native = step("npm", ["run", "--silent", "test:native"], true);
const counted = /(\d+) C\+\+ tests passed, (\d+) failed/.exec(native.stdout);
add(Number(counted?.[1] ?? 0), Number(counted?.[2] ?? 0), native.ok && counted !== null);

const report = path.join(reports, "vitest.json");
const vitest = step("npx", [
  "vitest",
  "run",
  "--reporter=default",
  "--reporter=json",
  `--outputFile=${report}`,
]);
let results = { numPassedTests: 0, numFailedTests: 0, numPendingTests: 0 };
try {
  results = JSON.parse(readFileSync(report, "utf8"));
} catch {
  vitest.ok = false;
}
add(results.numPassedTests, results.numFailedTests, vitest.ok);

if (results.numPendingTests) console.log(`\n${results.numPendingTests} skipped, see above`);
console.log(`\n${count.passed} passed, ${count.failed} failed`);
process.exitCode = count.failed === 0 && count.passed > 0 ? 0 : 1;
