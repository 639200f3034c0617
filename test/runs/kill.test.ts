import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { random } from "../../lib/data/index.js";
import { command, temporaryFolder } from "../cli/helpers.js";
import { gptRun, withoutSeconds } from "../experiments/helpers.js";
import { makeMix } from "../experiments/mix-helpers.js";
import { makeProbes } from "../experiments/probes-helpers.js";
import { makeCheckpoints, textFile } from "../experiments/series-helpers.js";

/** How often each kind is killed, and how often two begin at once; `CRITICAL_SHARPNESS_KILLS=50` for as many as one likes. */
const times = Number(process.env.CRITICAL_SHARPNESS_KILLS ?? 2);
const folder = temporaryFolder();
const place = (name: string) => path.join(folder, name);

/** The command that makes a run of each kind into a directory. */
const kinds: Record<string, string[]> = {};
/** What a run that nobody disturbed has recorded, and how long it took, in milliseconds. */
const straight: Record<string, { records: unknown; duration: number }> = {};
const recordsOf = (out: string) =>
  withoutSeconds(
    readFileSync(path.join(out, "metrics.jsonl"), "utf8")
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line, (key, value) => (/Seconds$/.test(key) ? undefined : value))),
  );

beforeAll(async () => {
  const text = textFile(folder);
  writeFileSync(
    place("train.json"),
    JSON.stringify({ ...gptRun(text), steps: 60, measure: { every: 3 }, checkpoint: { every: 5 } }),
  );
  kinds.train = ["train", place("train.json")];
  await makeCheckpoints(place("models"), 3);
  const measures = ["--batch-size", "2", "--accumulate", "4", "--measure", "4", "--per-kind", "--hessian"];
  kinds.checkpoints = ["checkpoints", place("models/step*"), "--data", text, ...measures];
  mkdirSync(place("mix"));
  const { configuration } = await makeMix(place("mix"));
  writeFileSync(place("mix.json"), JSON.stringify({ ...configuration, repeats: 4, accumulate: 3 }));
  kinds.mix = ["mix", place("mix.json"), "--train"];
  await makeProbes(place("probed"), 12);
  kinds.probes = ["watch-probes", place("probed"), "--once"];
  const rate = ["--learning-rate", "1e-6", "--accumulate", "4"];
  kinds.check = ["check", place("models/step2"), "--data", text, "--batch-size", "2", ...rate];
  for (const [kind, args] of Object.entries(kinds)) {
    const started = performance.now();
    const { code, stderr } = await command([...args, "--out", place(`straight ${kind}`)]);
    expect([code, stderr.includes("error")]).toEqual([0, false]);
    straight[kind] = { records: recordsOf(place(`straight ${kind}`)), duration: performance.now() - started };
  }
}, 300_000);

describe.each(["train", "checkpoints", "mix", "probes", "check"])("a run of %s", (kind) => {
  const { uniform } = random(`kills of ${kind}`);

  it(`killed at ${times} random moments goes on as if nothing had been`, async () => {
    const { records, duration } = straight[kind] as (typeof straight)[string];
    const args = [...(kinds[kind] as string[]), "--json-lines"];
    /** Batches and lines of which each process told. */
    let told: string[] = [];
    for (let killed = 0, round = 0; killed < times; round++) {
      const out = place(`killed ${kind} ${round}`);
      told = [];
      for (;;) {
        const last = killed === times;
        const ended = await command(
          [...args, "--out", out],
          undefined,
          last ? undefined : uniform() * duration,
        );
        const events = ended.stdout.split("\n").slice(0, -1);
        told.push(...events.filter((event) => event.startsWith('{"type":"progress"')));
        if (ended.signal === "SIGKILL") killed++;
        else {
          expect([ended.code, ended.stderr]).toEqual([0, expect.not.stringContaining("error")]);
          break;
        }
      }
      expect(recordsOf(out)).toEqual(records);
      // What was told of was written, and nobody did it again.
      expect(new Set(told.map((event) => event.replace(/"loss":[^,}]*/, ""))).size).toBe(told.length);
    }
  }, 1_800_000);

  it(`that another process begins too, at ${times} random moments, is that of the first`, async () => {
    const { records, duration } = straight[kind] as (typeof straight)[string];
    for (let round = 0; round < times; round++) {
      const out = place(`twice ${kind} ${round}`);
      const args = [...(kinds[kind] as string[]), "--out", out];
      const delay = 400 + uniform() * duration * 0.3;
      const first = command(args);
      await new Promise((resolve) => setTimeout(resolve, delay));
      const second = command(args);
      const ends = await Promise.all([first, second]);
      const refused = ends.filter(({ stderr }) => stderr.includes("that no process works in"));
      const done = ends.filter(({ code }) => code === 0);
      // Where the second came when the first had ended already, it finds nothing left to do.
      expect(done.length + refused.length).toBe(2);
      expect(done.length).toBeGreaterThan(0);
      expect(recordsOf(out)).toEqual(records);
    }
  }, 1_800_000);
});
