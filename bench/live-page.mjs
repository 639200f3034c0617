// What the live page takes of a run's time: a training of 10,000 steps while `watch` serves it to a reader.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { duration, figure, writeResults } from "./shared/results.mjs";

const main = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
const folder = mkdtempSync(path.join(os.tmpdir(), "critical-sharpness-"));
const steps = Number(process.argv[2] ?? 10_000);
const configuration = {
  model: { model_type: "mlp", layer_sizes: [64, 128, 128, 10], activation: "gelu", loss: "cross_entropy" },
  data: { type: "synthetic", task: "classification", count: 2048, features: 64, outputs: 10, noise: 0.3 },
  batch: { size: 64 },
  optimizer: { type: "adamw", learningRate: 1e-3 },
  seed: 3,
  steps,
  landscape: null,
};
const file = path.join(folder, "run.json");
writeFileSync(file, JSON.stringify(configuration));

/** Seconds of processor time that a process and its threads have taken so far. */
function processorTime(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

const start = (...args) => spawn(process.execPath, [main, ...args], { stdio: ["ignore", "pipe", "ignore"] });

/** Seconds of a run, of its own processor time, and what the page took meanwhile where there is one. */
async function measure(name, isWatched) {
  const directory = path.join(folder, name);
  const watch = isWatched ? start("watch", directory, "--port", "0") : undefined;
  let renewals = 0;
  const reading = new AbortController();
  if (watch) {
    const [url] = await once(watch.stdout, "data");
    const { body } = await fetch(new URL("/events", String(url).trim()), { signal: reading.signal });
    (async () => {
      for await (const part of body.pipeThrough(new TextDecoderStream()))
        renewals += part.split("event: run").length - 1;
    })().catch(() => {});
  }
  const before = watch ? processorTime(watch.pid) : 0;
  const started = performance.now();
  const run = start("train", file, "--out", directory, "--json");
  run.stdout.resume();
  let own = 0;
  const ended = once(run, "exit").then(([code]) => code);
  while (run.exitCode === null) {
    try {
      own = processorTime(run.pid);
    } catch {}
    await Promise.race([ended, delay(200)]);
  }
  if ((await ended) !== 0) throw new Error("The training failed");
  const seconds = (performance.now() - started) / 1000;
  const page = watch ? processorTime(watch.pid) - before : 0;
  reading.abort();
  watch?.kill();
  return { seconds, own, page, renewals };
}

try {
  await measure("warm", false);
  const rounds = [];
  for (let i = 0; i < 2; i++)
    rounds.push({ alone: await measure(`alone ${i}`, false), watched: await measure(`watched ${i}`, true) });
  const mean = (of) => rounds.reduce((sum, round) => sum + of(round), 0) / rounds.length;
  const share = mean(({ watched }) => watched.page / watched.seconds);
  const ratio = mean(({ alone, watched }) => watched.seconds / alone.seconds);
  const how = `${steps} steps of an MLP with λc at each, ${duration(mean(({ watched }) => watched.seconds))}; mean of ${rounds.length} rounds`;
  await writeResults("live-page", "What the live page takes of a run's time", [
    {
      what: "processor time of `watch` ÷ the run's time",
      bar: "< 0.05",
      measured: figure(share),
      met: share < 0.05,
      detail: `${how}; ${figure(mean(({ watched }) => watched.renewals))} renewals to one reader`,
    },
    {
      what: "the run's time watched ÷ alone",
      bar: "",
      measured: figure(ratio),
      met: null,
      detail: how,
    },
  ]);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
