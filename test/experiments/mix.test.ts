import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { random } from "../../lib/data/index.js";
import {
  type MixConfigurationInput,
  type MixEvent,
  type MixResult,
  measureMix,
  parseMix,
  summarizeMix,
  writeReport,
} from "../../lib/experiments/index.js";
import { Batch, loadModel } from "../../lib/models/index.js";
import { AdamW } from "../../lib/optimizers/index.js";

import { temporaryFolder } from "./helpers.js";
import { makeMix, readMixRecords, withoutTimes } from "./mix-helpers.js";

const folder = temporaryFolder();
const place = (name: string) => path.join(folder, name);
let configuration: Awaited<ReturnType<typeof makeMix>>["configuration"];
let whole: MixResult;
const events: MixEvent[] = [];
const mix = (name: string, options: object = {}, change: Partial<MixConfigurationInput> = {}) =>
  measureMix({ ...configuration, ...change }, { directory: place(name), ...options });
beforeAll(async () => {
  ({ configuration } = await makeMix(place("given")));
  whole = await mix("whole", { train: true, onProgress: (event: MixEvent) => events.push(event) });
});
const records = (name: string) => withoutTimes(readMixRecords(place(name)));

describe("a mix in a directory", () => {
  it("records the matrix of tasks, every line, what it cost and every training", () => {
    const lines = readMixRecords(place("whole"));
    const types = lines.map(({ type }) => type);
    const repeat = [...Array(9).fill("mix"), "repeat"];
    expect(types).toEqual([...Array(9).fill("pair"), ...repeat, ...repeat, ...Array(4).fill("cell")]);
    const costs = lines.filter((line) => line.type === "repeat");
    // Ratios 0, ½ and 1 of two rows: each source's batch in two pieces, twice.
    for (const cost of costs)
      expect(cost).toMatchObject({ updateRows: 8, updatePasses: 8, evaluatePasses: 3 });
    expect(whole.points).toHaveLength(9);
    expect(whole.points).toEqual(summarizeMix(lines.filter((line) => line.type === "mix")).points);
    expect(whole.recommendation.sentence.length).toBeGreaterThan(40);
    expect(whole.verdict?.safe.map(({ ratio }) => ratio)).toEqual([0, 1]);
    expect(new Set(events.map(({ type }) => type))).toEqual(
      new Set(["start", "pair", "progress", "mix", "repeat", "training", "cell"]),
    );
  });

  it("trains from the checkpoint with the moments of the same mixture, and judges on held-out batches that no sweep saw", async () => {
    const cell = whole.cells.find((c) => c.ratio === 1 && c.learningRate === 1e-2);
    // The same by hand, for the mixture that is one source alone: its sequences in the order of the epoch.
    const { MixData } = await import("../../lib/experiments/mix/mix-data.js");
    const parsed = await parseMix(configuration);
    using model = await loadModel(configuration.model);
    await using data = await MixData.open(parsed, model);
    const loss = async (task: string) => {
      let [sum, count] = [0, 0];
      for (const index of [0, 1]) {
        const batch = await data.judge(task, index);
        sum += batch.count * (await model.loss(batch));
        count += batch.count;
      }
      return sum / count;
    };
    const before = await loss("other");
    using optimizer = new AdamW(model, { learningRate: 1, betas: [0.9, 0.95], weightDecay: 0.1 });
    for (let i = 0; i < 4; i++) {
      const { varied } = data.update;
      if (typeof varied !== "function") throw new Error("Expected a function");
      const { gradient } = await model.gradient(await varied(i));
      using own = gradient;
      await optimizer.accumulate(own);
      if (i >= 2) await optimizer.step({ learningRate: 1e-2 });
    }
    expect(cell?.tasks.other?.before).toBeCloseTo(before, 12);
    expect(cell?.tasks.other?.after).toBeCloseTo(await loss("other"), 6);
    expect(cell?.setup).toEqual({ steps: 2, batches: 2, choices: { questions: 4 } });
    const { questions } = cell?.choices ?? {};
    for (const part of [questions?.before, questions?.after]) expect([0, 0.25, 0.5, 0.75, 1]).toContain(part);
  });

  it("goes on where it was stopped, with the same records", async () => {
    for (const at of [1, 12, 17, 40]) {
      const stop = new AbortController();
      let seen = 0;
      const onProgress = () => ++seen >= at && stop.abort();
      const stopped = mix(`stopped ${at}`, { train: true, signal: stop.signal, onProgress });
      await expect(stopped).rejects.toMatchObject({ code: "ABORT_ERR" });
      const again = await mix(`stopped ${at}`, { train: true });
      expect(records(`stopped ${at}`)).toEqual(records("whole"));
      expect(again.recommendation).toEqual(whole.recommendation);
    }
  });

  it("takes more repeats, and training afterwards; nothing is done twice", async () => {
    await mix("grown", {}, { repeats: 1 });
    const seen: string[] = [];
    const grown = await mix("grown", { train: true, onProgress: ({ type }: MixEvent) => seen.push(type) });
    expect(records("grown")).toEqual(records("whole"));
    expect(seen.filter((type) => type === "mix")).toHaveLength(9);
    expect(grown.points).toEqual(whole.points);
    seen.length = 0;
    await mix("grown", { train: true, onProgress: ({ type }: MixEvent) => seen.push(type) });
    expect(seen).toEqual(["start"]);
  });

  it("stopped within a training, it takes more repeats first, and fewer steps", async () => {
    const change = { repeats: 1, train: { ...configuration.train, steps: 6 } };
    const stop = new AbortController();
    const onProgress = (event: MixEvent) => event.type === "training" && event.done === 5 && stop.abort();
    const stopped = mix("cut", { train: true, signal: stop.signal, onProgress }, change);
    await expect(stopped).rejects.toMatchObject({ code: "ABORT_ERR" });
    const done: number[] = [];
    const again = await mix("cut", {
      train: true,
      onProgress: (event: MixEvent) => void (event.type === "training" && done.push(event.done)),
    });
    expect(again.cells).toEqual(whole.cells.map((cell) => ({ ...cell, seconds: expect.any(Number) })));
    expect(again.points).toEqual(whole.points);
    expect(done[0]).toBe(1);
  });

  it("stopped within a training, it goes on at the step at which it was", async () => {
    const change = { train: { ...configuration.train, steps: 6 } };
    const straight = await mix("straight", { train: true }, change);
    const stop = new AbortController();
    const onProgress = (event: MixEvent) => event.type === "training" && event.done === 5 && stop.abort();
    const stopped = mix("halted", { train: true, signal: stop.signal, onProgress }, change);
    await expect(stopped).rejects.toMatchObject({ code: "ABORT_ERR" });
    const done: number[] = [];
    const again = await mix(
      "halted",
      {
        train: true,
        onProgress: (event: MixEvent) => void (event.type === "training" && done.push(event.done)),
      },
      change,
    );
    expect(done[0]).toBeGreaterThanOrEqual(5);
    expect(again.cells).toEqual(straight.cells.map((cell) => ({ ...cell, seconds: expect.any(Number) })));
  });

  it("refuses another configuration's directory, and says which key", async () => {
    await expect(mix("whole", {}, { seed: 5 })).rejects.toMatchObject({
      code: "ERR_RUN_DIRECTORY",
      message: expect.stringContaining("seed"),
    });
  });

  it("keeps the judge's tokens from the sweep, however many repeats there are", async () => {
    const { MixData } = await import("../../lib/experiments/mix/mix-data.js");
    // No sequence twice: all differ.
    const draw = random("letters");
    const letters = String.fromCharCode(...Array.from({ length: 2000 }, () => 97 + draw.below(26)));
    writeFileSync(place("letters.jsonl"), `${JSON.stringify({ text: letters })}\n`);
    const parsed = await parseMix({
      ...configuration,
      tasks: { other: { data: place("letters.jsonl") } },
      batch: { size: 1 },
      evaluate: { size: 1 },
    });
    using model = await loadModel(configuration.model);
    await using data = await MixData.open(parsed, model);
    // A loss tells the sequence: those of the sweep in a whole epoch, and those of the judge.
    const losses = async (batch: (index: number) => Promise<Batch>, count: number) => {
      const seen = new Set<number>();
      for (let i = 0; i < 2 * count; i++) seen.add(await model.loss(await batch(i)));
      return seen;
    };
    const swept = await losses((i) => data.task("other", i), data.taskBatches("other"));
    const judged = await losses((i) => data.judge("other", i), data.judgeBatches("other"));
    expect([swept.size, judged.size]).toEqual([data.taskBatches("other"), data.judgeBatches("other")]);
    expect(swept.size).toBeGreaterThan(1.8 * judged.size);
    expect([...judged].filter((loss) => swept.has(loss))).toEqual([]);
  });

  it("refuses the directory of an older version's mix, and its report", async () => {
    await mix("old", {}, { repeats: 1 });
    const file = path.join(place("old"), "config.json");
    const { kind, schema, ...stored } = JSON.parse(readFileSync(file, "utf8"));
    expect({ kind, schema }).toEqual({ kind: "mix", schema: 1 });
    writeFileSync(file, JSON.stringify({ ...stored, estimator: "mixture-batches" }));
    expect((await mix("old", {}, { repeats: 1 })).recommendation).toBeDefined();
    writeFileSync(file, JSON.stringify(stored));
    const refused = { code: "ERR_RUN_DIRECTORY", message: expect.stringContaining("an older version") };
    await expect(mix("old", {}, { repeats: 2 })).rejects.toMatchObject(refused);
    await expect(writeReport(place("old"))).rejects.toMatchObject(refused);
    await mix("old", { fresh: true }, { repeats: 1 });
    expect(JSON.parse(readFileSync(file, "utf8"))).toMatchObject({ kind, schema });
  });

  it("warns where repeats share sequences", async () => {
    const told: string[] = [];
    const onProgress = (event: MixEvent) => void (event.type === "warning" && told.push(event.message));
    const { warnings } = await mix(
      "short",
      { onProgress },
      { batch: { size: 60 }, ratios: [0.5], repeats: 9 },
    );
    expect(warnings).toEqual(told);
    expect(told.join()).toContain("the intervals are too narrow");
  });
});

describe("the configuration of a mix", () => {
  it.each<[string, object, string]>([
    ["one source", { sources: { old: { data: "a.jsonl" } } }, "at least two sources"],
    ["a varied source that is none", { vary: "gold" }, "vary"],
    ["ratios out of order", { ratios: [0.5, 0.2] }, "ratios"],
    ["a ratio above 1", { ratios: [0, 2] }, "ratios[1]"],
    ["a task with a source's name", { tasks: { old: { data: "a.jsonl" } } }, "names that no source has"],
    ["an unknown key", { mix: 1 }, "a key"],
    ["examples", { tasks: { digits: { data: { type: "mnist" } } } }, "text or tokens"],
  ])("%s", async (_, change, message) => {
    const bad = measureMix({ ...configuration, ...change } as never, { directory: place("bad") });
    await expect(bad).rejects.toMatchObject({
      code: "ERR_CONFIGURATION",
      message: expect.stringContaining(message),
    });
  });
  it("is the same when it is checked twice", async () => {
    const once = await parseMix(configuration);
    expect(await parseMix(once)).toEqual(once);
  });
});

describe("accuracy by the likelihood of choices", () => {
  it("is that of the tokens of each choice after its question", async () => {
    const { choiceAccuracy, tokenizeQuestions } = await import("../../lib/experiments/mix/judgement.js");
    const { byteTokenizer } = await import("../../lib/data/index.js");
    using model = await loadModel(configuration.model);
    const question = { question: "?", choices: ["a", "bc", "d"], answer: 0 };
    const [tokenized] = tokenizeQuestions([question], byteTokenizer, 16);
    // "?\nAnswer:" is 9 bytes; the choice and its blank are what is scored.
    expect(tokenized?.options.map((o) => [o.tokens.length, o.from])).toEqual([
      [11, 9],
      [12, 9],
      [11, 9],
    ]);
    const likelihoods: number[] = [];
    for (const choice of question.choices) {
      const tokens = [...byteTokenizer.encode(`?\nAnswer: ${choice}`)];
      let sum = 0;
      for (let at = 9; at < tokens.length; at++) {
        using batch = Batch.tokens({
          inputIds: tokens.slice(0, at),
          labels: [...Array(at - 1).fill(-100), tokens[at] as number],
          shape: [1, at],
        });
        sum -= await model.loss(batch);
      }
      likelihoods.push(sum);
    }
    const answer = likelihoods.indexOf(Math.max(...likelihoods));
    for (const place of [0, 1, 2]) {
      const asked = tokenizeQuestions([{ ...question, answer: place }], byteTokenizer, 16);
      expect(await choiceAccuracy(model, asked)).toBe(place === answer ? 1 : 0);
    }
  });
});
