// A large optimizer.pt: readTorchFile against torch.load(mmap=True, weights_only=True), each in a process of its own, in turns.
// `node bench/torch-files.mjs [GB]` prints JSON.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { peersPython } from "./peers/python.mjs";
import { inTurns, median, ratio, seconds } from "./shared/timing.mjs";

const self = fileURLToPath(import.meta.url);
const parameters = 300;
const rounds = 5;

const write = `
import sys, torch
file, n, size = sys.argv[1], ${parameters}, int(sys.argv[2])
state = {i: {"step": torch.tensor(3.0), "exp_avg": torch.ones(size), "exp_avg_sq": torch.ones(size)} for i in range(n)}
torch.save({"state": state, "param_groups": [{"lr": 1e-3, "betas": (0.9, 0.95), "eps": 1e-8, "params": list(range(n))}]}, file)
`;
const load = `
import json, resource, sys, time, torch
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start = time.perf_counter()
state = torch.load(sys.argv[1], mmap=True, weights_only=True)
seconds = time.perf_counter() - start
print(json.dumps({"seconds": seconds, "tensors": sum(len(s) for s in state["state"].values()), "kilobytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before}))
`;

/** What a process says in JSON, and how long all of it took. */
async function answer(command, args) {
  let done;
  const whole = await seconds(async () => {
    done = spawnSync(command, args, { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
  });
  if (done.status !== 0) throw new Error(`Expected ${command} to read the file but it failed`);
  return { ...JSON.parse(done.stdout), whole };
}

async function compare(gigabytes) {
  const folder = mkdtempSync(path.join(os.tmpdir(), "critical-sharpness-bench-"));
  const file = path.join(folder, "optimizer.pt");
  const python = peersPython();
  try {
    const size = Math.round((gigabytes * 1e9) / (parameters * 2 * 4));
    spawnSync(python, ["-c", write, file, String(size)], { stdio: "inherit" });
    const told = { ours: [], theirs: [] };
    const asked = (who, command, args) => async () => {
      const found = await answer(command, args);
      told[who].push(found);
      return found;
    };
    const calls = {
      ours: asked("ours", process.execPath, [self, "read", file]),
      theirs: asked("theirs", python, ["-c", load, file]),
    };
    const times = await inTurns(calls, { rounds, warmup: 1 });
    const each = (who, what) => told[who].slice(-rounds).map((one) => one[what]);
    const whole = { ours: each("ours", "whole"), theirs: each("theirs", "whole") };
    const side = (who) => ({
      callSeconds: median(times[who]),
      processSeconds: median(whole[who]),
      tensors: told[who][0].tensors,
      kilobytes: median(each(who, "kilobytes")),
    });
    return {
      bytes: statSync(file).size,
      rounds,
      ours: side("ours"),
      theirs: side("theirs"),
      callRatio: ratio(times, "ours", "theirs"),
      processRatio: ratio(whole, "ours", "theirs"),
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** In a process of its own: one reading. */
async function read(file) {
  const { readTorchFile } = await import("../dist/files/index.js");
  const before = process.resourceUsage().maxRSS;
  let value;
  const took = await seconds(async () => {
    value = await readTorchFile(file);
  });
  const tensors = [...value.get("state").values()].reduce((sum, one) => sum + one.size, 0);
  return { seconds: took, tensors, kilobytes: process.resourceUsage().maxRSS - before };
}

if (process.argv[2] === "read") console.log(JSON.stringify(await read(process.argv[3])));
else console.log(JSON.stringify(await compare(Number(process.argv[2] ?? 3)), null, 2));
