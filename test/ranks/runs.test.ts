import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { beforeAll, describe, expect, it } from "vitest";
import { random } from "../../lib/data/index.js";
import { command, temporaryFolder } from "../cli/helpers.js";
import { gptRun } from "../experiments/helpers.js";
import { makeMix } from "../experiments/mix-helpers.js";
import { makeCheckpoints, textFile } from "../experiments/series-helpers.js";

/** How often each kind is killed; `CRITICAL_SHARPNESS_KILLS=20` for as many as one likes. */
const times = Number(process.env.CRITICAL_SHARPNESS_KILLS ?? 1);
const folder = temporaryFolder();
const place = (...names: string[]) => path.join(folder, ...names);
/** Matrices of it are of several chunks, so that every rank has some. */
const width = 96;

/** The command that makes a run of each kind into a directory. */
const kinds: Record<string, string[]> = {};
/** What one process has left, by the name of the file, and how long it took, in milliseconds. */
const alone: Record<string, { code: number | null; files: Record<string, string>; duration: number }> = {};
/** Exit codes of a run that is made: 3 is an answer of `check`. */
const answers = [0, 3];

const over = (kind: string, ranks: number, out: string, killAfter?: number) =>
  command([...(kinds[kind] as string[]), "--out", out, "--ranks", String(ranks)], undefined, killAfter);

/** Records but for the seconds, and what was kept from which a run goes on. */
function filesOf(out: string): Record<string, string> {
  const names = readdirSync(out, { recursive: true, encoding: "utf8" }).filter(
    (name) => name === "metrics.jsonl" || name.endsWith(".safetensors"),
  );
  return Object.fromEntries(
    names.sort().map((name) => {
      const text = readFileSync(path.join(out, name), "latin1");
      return [name, text.replaceAll(/"\w*[sS]econds":[\d.e-]+/g, "")];
    }),
  );
}

beforeAll(async () => {
  const text = textFile(folder);
  const run = gptRun(text);
  writeFileSync(
    place("train.json"),
    JSON.stringify({
      ...run,
      model: { ...run.model, n_embd: width },
      batch: { size: 4, microBatch: 1 },
      checkpoint: { every: 3, keep: true },
      hessian: { every: 5 },
    }),
  );
  kinds.train = ["train", place("train.json")];
  await makeCheckpoints(place("models"), 2, { width });
  const moments = ["--batch-size", "4", "--micro-batch", "1", "--accumulate", "2"];
  kinds.checkpoints = [
    "checkpoints",
    place("models/step*"),
    "--data",
    text,
    ...moments,
    "--measure",
    "3",
    "--hessian",
  ];
  mkdirSync(place("mix"));
  const { configuration } = await makeMix(place("mix"), { width });
  writeFileSync(place("mix.json"), JSON.stringify({ ...configuration, batch: { size: 2, microBatch: 1 } }));
  kinds.mix = ["mix", place("mix.json"), "--train"];
  kinds.check = [
    "check",
    place("models/step1"),
    "--data",
    text,
    ...moments,
    "--learning-rate",
    "1e-4",
    "--trial",
    "3",
  ];
  for (const kind of Object.keys(kinds)) {
    const started = performance.now();
    const out = place(`${kind} alone`);
    const { code } = await over(kind, 1, out);
    expect(answers).toContain(code);
    alone[kind] = { code, files: filesOf(out), duration: performance.now() - started };
  }
}, 300_000);

describe.each(["train", "checkpoints", "mix", "check"])("%s over ranks", (kind) => {
  it.each([2, 3])("has the records and files of one process: %i", { timeout: 200_000 }, async (ranks) => {
    const out = place(`${kind} over ${ranks}`);
    const { code, stdout, stderr } = await over(kind, ranks, out);
    expect({ code, others: stderr.match(/^rank \d.*/gm) }).toEqual({ code: alone[kind]?.code, others: null });
    expect(stdout).toContain("report.html");
    expect(filesOf(out)).toEqual(alone[kind]?.files);
    expect(readdirSync(out)).toContain("report.html");
  });

  it(`killed at ${times} random moments goes on with another number`, {
    timeout: 600_000 + 60_000 * times,
  }, async () => {
    const { uniform } = random(`kills of ranks of ${kind}`);
    const { code, files, duration } = alone[kind] as (typeof alone)[string];
    for (let killed = 0, round = 0; killed < times; round++) {
      const out = place(`${kind} killed ${round}`);
      // Two processes take longer to begin than one does to end.
      const ended = await over(kind, 2, out, (0.5 + 1.5 * uniform()) * duration);
      if (ended.signal === "SIGKILL") killed++;
      // Ranks whose launcher was killed end by themselves, and leave the directory to others.
      let again = await over(kind, 3, out);
      for (let i = 0; i < 5 && again.code !== code; i++) {
        expect(again.stderr).toContain("ERR_RUN_LOCKED");
        await delay(2000);
        again = await over(kind, 3, out);
      }
      expect(again).toMatchObject({ code });
      // Ranks without a launcher stop as one that is told to: what they keep of that step is one more checkpoint.
      expect(filesOf(out)).toMatchObject(files);
    }
  });
});

it("an interrupted rank stops the run on all, with what it goes on from", { timeout: 200_000 }, async () => {
  const out = place("interrupted");
  const args = ["train", place("train.json"), "--out", out, "--ranks", "2", "--steps", "400"];
  let told = false;
  const ended = await command(args, (stderr, kill) => {
    if (told || !/step \d+/.test(stderr)) return;
    told = true;
    kill("SIGTERM");
  });
  expect(ended.code).not.toBe(0);
  expect(ended.stderr).toMatch(/Stopped after step \d+ of 400\. The same command goes on from there/);
  expect(ended.stderr).not.toMatch(/^rank 1: |ERR_RANK_LOST|the others are ended/m);
  expect(readdirSync(path.join(out, "checkpoint"))).toContain("state.json");
});
