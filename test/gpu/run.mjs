// `npm run test:gpu`: the tests in this folder on a GPU, by node's own test runner: they also run where there is no npm.
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import path from "node:path";
import { device, requireDevice } from "./device.mjs";

const here = import.meta.dirname;
try {
  requireDevice();
} catch (error) {
  console.error(`error: ${error.message}`);
  process.exit(1);
}
console.log(`Tests on ${device}`);
const files = readdirSync(here).filter((file) => file.endsWith(".test.mjs"));
// One at a time: they measure the device's memory.
const { status } = spawnSync(
  process.execPath,
  ["--test", "--test-concurrency=1", ...files.map((file) => path.join(here, file))],
  { stdio: "inherit" },
);
process.exitCode = status ?? 1;
