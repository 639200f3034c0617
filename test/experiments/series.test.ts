import { copyFileSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import {
  type BatchRecord,
  type CheckpointRecord,
  frozenSharpness,
  measureCheckpoints,
  type SeriesEvent,
} from "../../lib/experiments/index.js";
import { Batch, Direction, loadModel } from "../../lib/models/index.js";
import { AdamW } from "../../lib/optimizers/index.js";
import { temporaryFolder, withoutSeconds } from "./helpers.js";
import { makeCheckpoints, readSeriesRecords, smallSeries, textFile } from "./series-helpers.js";

const folder = temporaryFolder();
const place = (name: string) => path.join(folder, name);
const text = textFile(folder);
const series = smallSeries(text);
let checkpoints: string[];
beforeAll(async () => {
  checkpoints = await makeCheckpoints(place("models"), 4);
});
const recordsOf = (directory: string) => withoutSeconds(readSeriesRecords(directory) as never);

describe("a series", () => {
  it("has for each checkpoint what the protocol gives, on the same batches", async () => {
    const { checkpoints: found } = await measureCheckpoints(
      { ...series, parts: ["kinds"], directional: true },
      { directory: place("whole"), checkpoints },
    );
    expect(found.map(({ name, step }) => [name, step])).toEqual([1, 2, 3, 4].map((n) => [`step${n}`, n]));
    const records = readSeriesRecords(place("whole"));
    expect(records.map((r) => r.type)).toEqual(
      Array(4).fill(["batch", "batch", "batch", "checkpoint"]).flat(),
    );
    // Batches of 2 sequences of 16 tokens; the n-th sequence of the epoch, from the file itself.
    const bytes = readFileSync(text, "utf8")
      .trimEnd()
      .split("\n")
      .map((line) => `${JSON.parse(line).text}\n\n`)
      .join("");
    const { TokenBatches, tokensInMemory } = await import("../../lib/data/index.js");
    const stream = tokensInMemory("text", Uint8Array.from(Buffer.from(bytes)), 256);
    const cut = new TokenBatches(stream, { size: 2, sequence: 16, seed: 0, sampling: "epochs" });
    const batches = await Promise.all([1, 2, 3, 4, 5].map(async (n) => Batch.tokens(await cut.training(n))));
    using model = await loadModel(checkpoints[2] as string);
    const optimizer = { type: "adamw", betas: [0.9, 0.95], weightDecay: 0.1 } as const;
    const alone = await frozenSharpness({
      model,
      batches,
      optimizer,
      accumulate: 2,
      measure: 3,
      directional: true,
    });
    expect(found[2]).toMatchObject({
      direction: "accumulated",
      accumulated: 2,
      parameterCount: model.parameterCount,
      criticalSharpness: alone.criticalSharpness,
      directionalSharpness: alone.directionalSharpness,
      loss: alone.loss,
    });
    expect(Object.keys(found[2]?.parts ?? {}).sort()).toEqual(["attention", "embeddings", "mlp", "norms"]);
    const third = records.filter((r): r is BatchRecord => r.type === "batch").slice(6, 9);
    expect(third.map((r) => r.measurement.criticalSharpness)).toEqual(
      alone.batches.map((b) => b.measurement.criticalSharpness),
    );
    for (const batch of batches) batch.dispose();
  });

  it("goes on after a stop, and after a kill within a line, as if nothing had been", async () => {
    await measureCheckpoints(series, { directory: place("straight"), checkpoints });
    const directory = place("stopped");
    const stop = new AbortController();
    const onProgress = (event: SeriesEvent) => {
      if (event.type === "progress" && event.checkpoint.name === "step3" && event.done === 4) stop.abort();
    };
    const stopped = measureCheckpoints(series, { directory, checkpoints, signal: stop.signal, onProgress });
    await expect(stopped).rejects.toMatchObject({ name: "AbortError" });
    expect(readSeriesRecords(directory)).toHaveLength(8);
    const metrics = path.join(directory, "metrics.jsonl");
    const content = readFileSync(metrics);
    for (const length of [content.length - 1, content.length - 40, 700, 3]) {
      writeFileSync(metrics, content.subarray(0, length));
      await measureCheckpoints(series, { directory, checkpoints });
      expect(recordsOf(directory)).toEqual(recordsOf(place("straight")));
    }
    const started: number[] = [];
    await measureCheckpoints(series, {
      directory,
      checkpoints,
      onProgress: (event) => void started.push(event.type === "start" ? event.done : -1),
    });
    expect(started).toEqual([4]);
  });

  it("takes checkpoints that came meanwhile", async () => {
    const directory = place("growing");
    await measureCheckpoints(series, { directory, checkpoints: checkpoints.slice(1, 3) });
    const { checkpoints: found } = await measureCheckpoints(series, { directory, checkpoints });
    expect(found.map(({ name }) => name)).toEqual(["step1", "step2", "step3", "step4"]);
    const names = readSeriesRecords(directory).flatMap((r) =>
      r.type === "checkpoint" ? [r.checkpoint] : [],
    );
    expect(names).toEqual([1, 2, 0, 3].map((i) => checkpoints[i]));
    const config = JSON.parse(readFileSync(path.join(directory, "config.json"), "utf8"));
    expect(config.checkpoints.map((c: { directory: string }) => c.directory)).toEqual(checkpoints);
  });

  it("goes on after a checkpoint that fails, and tries it again", async () => {
    const own = await makeCheckpoints(place("failing"), 3);
    const weights = path.join(own[1] as string, "model.safetensors");
    const sound = readFileSync(weights);
    writeFileSync(weights, sound.subarray(0, 900));
    const directory = place("with a failure");
    const first = await measureCheckpoints(series, { directory, checkpoints: own });
    expect(first.checkpoints.map(({ name }) => name)).toEqual(["step1", "step3"]);
    expect(first.failures).toMatchObject([{ name: "step2", code: "ERR_SAFETENSORS" }]);
    writeFileSync(weights, sound);
    const second = await measureCheckpoints(series, { directory, checkpoints: own });
    expect(second.failures).toEqual([]);
    expect(second.checkpoints.map(({ name }) => name)).toEqual(["step1", "step2", "step3"]);
    // A log only grows: what came after the failure is its last word.
    const records = readSeriesRecords(directory).filter((r) => r.checkpoint === own[1]);
    expect(records.map((r) => r.type)).toEqual(["failure", "batch", "batch", "batch", "checkpoint"]);
  });

  it("ends with what its callback throws, which is no checkpoint's failure", async () => {
    const directory = place("thrown");
    const onProgress = (event: SeriesEvent) => {
      if (event.type === "progress") throw new Error("enough");
    };
    await expect(measureCheckpoints(series, { directory, checkpoints, onProgress })).rejects.toThrow(
      "enough",
    );
    expect(readFileSync(path.join(directory, "metrics.jsonl"), "utf8")).toBe("");
  });

  it("of another configuration is refused", async () => {
    const other = measureCheckpoints(
      { ...series, measure: 2 },
      { directory: place("straight"), checkpoints },
    );
    await expect(other).rejects.toMatchObject({
      code: "ERR_RUN_DIRECTORY",
      message: expect.stringContaining("Expected 3 for measure"),
    });
  });
});

describe("where Δ comes from", () => {
  it("a state beside the weights is taken, of all checkpoints or of none", async () => {
    const own = await makeCheckpoints(place("stored"), 2);
    using model = await loadModel(own[0] as string);
    using optimizer = new AdamW(model, { learningRate: 1, betas: [0.9, 0.95], weightDecay: 0.1 });
    using batch = Batch.tokens({ inputIds: [1, 2, 3], labels: [2, 3, 4], shape: [1, 3] });
    for (let i = 0; i < 7; i++) await optimizer.accumulate(await model.gradient(batch));
    await optimizer.save(path.join(own[0] as string, "optimizer.safetensors"));
    const directory = place("with states");
    for (const optimizerState of ["auto", "optimizer.safetensors"])
      await expect(
        measureCheckpoints({ ...series, optimizerState }, { directory, checkpoints: own }),
      ).rejects.toMatchObject({
        code: "ERR_CHECKPOINTS",
        message: expect.stringMatching(/1 of 2 without \(step2\).*--optimizer-state none/),
      });
    const none = await measureCheckpoints(
      { ...series, optimizerState: "none" },
      { directory: place("without states"), checkpoints: own },
    );
    expect(none.checkpoints.map((f) => [f.direction, f.accumulated])).toEqual([
      ["accumulated", 2],
      ["accumulated", 2],
    ]);
    const { checkpoints: found } = await measureCheckpoints(series, {
      directory,
      checkpoints: own.slice(0, 1),
    });
    expect(found.map((f) => [f.direction, f.accumulated, f.optimizerState])).toEqual([
      ["stored", 7, "optimizer.safetensors"],
    ]);
    // Stopped after a batch, it goes on with the state as it was.
    const stopped = { directory: place("stopped with states"), checkpoints: own.slice(0, 1) };
    const stop = (event: { type: string; done?: number }) => {
      if (event.type === "progress" && event.done === 2) throw new Error("stopped");
    };
    await expect(measureCheckpoints(series, { ...stopped, onProgress: stop })).rejects.toThrow("stopped");
    await measureCheckpoints(series, stopped);
    const measured = (run: string) =>
      readSeriesRecords(run).flatMap((record) => (record.type === "batch" ? [record.measurement] : []));
    expect(measured(stopped.directory)).toEqual(measured(directory));
    const [first] = readSeriesRecords(place("with states"));
    expect(first).toMatchObject({ type: "batch", index: 2 });
  });

  it("checkpoints of the same weights are told before they are measured", async () => {
    const own = await makeCheckpoints(place("equal"), 3);
    copyFileSync(
      path.join(own[0] as string, "model.safetensors"),
      path.join(own[2] as string, "model.safetensors"),
    );
    const started: unknown[] = [];
    const { checkpoints: found } = await measureCheckpoints(series, {
      directory: place("with equal ones"),
      checkpoints: own,
      onProgress: (event) => event.type === "start" && started.push(event.sameWeights),
    });
    expect(started).toEqual([[["step1", "step3"]]]);
    expect(found.map(({ sameWeights }) => sameWeights)).toEqual([["step3"], [], ["step1"]]);
  });

  it("η is given, constant or by a schedule, and counts for the next step", async () => {
    const rate = { learningRate: 0.01, steps: 4, schedule: { type: "cosine" as const, warmup: 2 } };
    const { checkpoints: found } = await measureCheckpoints(
      { ...series, ...rate },
      { directory: place("scheduled"), checkpoints },
    );
    const rates = found.map(({ learningRate }) => learningRate);
    expect(rates[0]).toBe(0.01);
    expect(rates[1]).toBeCloseTo(0.01 * 0.75, 12);
    expect(found[0]?.learningRateSource).toBe("given");
    await expect(
      measureCheckpoints(
        { ...series, schedule: rate.schedule },
        { directory: place("no rate"), checkpoints },
      ),
    ).rejects.toMatchObject({ code: "ERR_CONFIGURATION" });
  });

  it("or from a file", async () => {
    using model = await loadModel(checkpoints[0] as string);
    using next = await loadModel(checkpoints[1] as string);
    using between = await Direction.between(model, next);
    const direction = place("between.safetensors");
    await between.save(direction);
    const { checkpoints: found } = await measureCheckpoints(
      { ...series, direction },
      { directory: place("along a file"), checkpoints: checkpoints.slice(0, 1) },
    );
    expect(found[0]).toMatchObject({
      direction: "given",
      accumulated: 0,
    } satisfies Partial<CheckpointRecord>);
  });
});

describe("the tokenizer of text", () => {
  const llama3 = path.join(import.meta.dirname, "../data/tokenizers/llama3.json");
  it("is that of the checkpoints", async () => {
    const [own] = await makeCheckpoints(place("tokenized"), 1);
    copyFileSync(llama3, path.join(own as string, "tokenizer.json"));
    const directory = place("through a tokenizer");
    const call = () => measureCheckpoints(series, { directory, checkpoints: [own as string] });
    // Its vocabulary is larger than the model's.
    await expect(call().then(({ failures }) => failures[0]?.message)).resolves.toContain(
      "the vocabulary of the data",
    );
    rmSync(path.join(own as string, "tokenizer.json"));
  });
  it("is asked for where nobody knows it", async () => {
    const [own] = await makeCheckpoints(place("words"), 1);
    const file = path.join(own as string, "config.json");
    writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, "utf8")), vocab_size: 300 }));
    const call = measureCheckpoints(series, { directory: place("no"), checkpoints: [own as string] });
    await expect(call).rejects.toMatchObject({
      code: "ERR_CONFIGURATION",
      message: expect.stringContaining("data.tokenizer"),
    });
  });
});
