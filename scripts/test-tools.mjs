// Installs what some tests compare with, where the machine has none: Python's transformers and tokenizers of test/requirements.txt,
// into build/oracle. Tests find them there; without them they are skipped. Quick when they are there; `--required` makes a failure
// an exit code.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { root, works } from "./run.mjs";

const wanted = readFileSync(path.join(root, "test/requirements.txt"), "utf8");
const venv = path.join(root, "build/oracle");
const python = path.join(venv, "bin/python");
const note = path.join(venv, "requirements.txt");
const attempts = 3;

/** PyTorch's own index has the CPU build; the configured one may too, and may be the only one that can be reached. */
const indexes = [
  [],
  ["--extra-index-url=https://download.pytorch.org/whl/cpu", "--timeout=15", "--retries=1"],
];

const succeeds = (command, args) =>
  spawnSync(command, args, { stdio: ["ignore", "ignore", "inherit"], timeout: 20 * 60_000 }).status === 0;

function install() {
  if (!works(python) && !succeeds(process.env.PYTHON || "python3", ["-m", "venv", "--clear", venv]))
    return false;
  const list = path.join(root, "test/requirements.txt");
  const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:"];
  return (
    indexes.some((index) => succeeds(python, [...pip, ...index, "--requirement", list])) &&
    succeeds(python, ["-c", "import torch, transformers, tokenizers"])
  );
}

async function installed() {
  if (works(python) && existsSync(note) && readFileSync(note, "utf8") === wanted) return true;
  for (let attempt = 1; attempt <= attempts; attempt++) {
    if (attempt > 1) await pause(10_000 * attempt);
    console.log(`Installing test/requirements.txt into build/oracle, attempt ${attempt} of ${attempts}`);
    if (!install()) continue;
    writeFileSync(note, wanted);
    return true;
  }
  return false;
}

if (!(await installed())) {
  console.error(
    "Expected Python with the packages of test/requirements.txt but they could not be installed, see above: the tests that compare with them are skipped. Set CRITICAL_SHARPNESS_PYTHON to a Python that has them",
  );
  if (process.argv.includes("--required")) process.exitCode = 1;
}
