import { existsSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { type StepRecord, type TrainEvent, train, writeReport } from "../../lib/experiments/index.js";
import { loadModel } from "../../lib/models/index.js";
import { native } from "../../lib/torch/load.js";
import { gptRun, mlpRun, readMetrics, temporaryFolder, withoutSeconds } from "./helpers.js";

const folder = temporaryFolder();
const text = path.join(folder, "text.txt");
writeFileSync(text, "It was the best of times, it was the worst of times. ".repeat(40));
const runs = { perceptron: mlpRun, "language model": gptRun(text) } as const;
const kinds = Object.keys(runs) as (keyof typeof runs)[];
const place = (name: string) => path.join(folder, name);

// These models are too small for two threads to help.
beforeAll(() => native().setThreads(1));

async function digestOf(directory: string): Promise<string> {
  using model = await loadModel(path.join(directory, "checkpoint"));
  return await model.digest();
}

describe("train", () => {
  it.each(kinds)("writes the records of every step of a %s", async (kind) => {
    const directory = place(`records ${kind}`);
    const events: TrainEvent[] = [];
    const result = await train(runs[kind], { directory, onProgress: (event) => events.push(event) });
    const records = readMetrics(directory);
    const steps = records.filter((r): r is StepRecord => r.type === "step");
    expect(steps.map((s) => s.step)).toEqual(Array.from({ length: 12 }, (_, i) => i + 1));
    const each = kind === "perceptron" ? 20 : 64;
    expect(steps.map((s) => s.tokens)).toEqual(steps.map((s) => s.step * each));
    const every = kind === "perceptron" ? 1 : 2;
    for (const { step, loss, measurement, gradientNorm, seconds } of steps) {
      expect(gradientNorm).toBeGreaterThan(0);
      expect(seconds).toBeGreaterThan(0);
      const due = step === 1 || step % every === 0 || step === 6;
      expect(measurement !== null).toBe(due);
      if (measurement?.status !== "converged") continue;
      const { lower, upper, criticalLearningRate, baseLoss, evaluations } = measurement;
      expect(baseLoss).toBe(loss);
      expect(1 - (lower as number) / (upper as number)).toBeLessThanOrEqual(1 / 16);
      expect(criticalLearningRate).toBeGreaterThanOrEqual(lower as number);
      for (const e of evaluations)
        if (e.learningRate === upper) expect(e.loss === null || e.loss > loss).toBe(true);
        else if (e.learningRate === lower) expect(e.loss).toBeLessThanOrEqual(loss);
    }
    expect(steps.at(-1)?.loss).toBeLessThan(steps[0]?.loss as number);
    expect(result).toMatchObject({ directory, steps: 12, tokens: 12 * each, resumedFrom: 0 });
    expect(result.loss).toBe(steps.at(-1)?.loss);
    expect(records.filter((r) => r.type === "validation").map((r) => r.step)).toEqual([5, 10, 12]);
    expect(events.filter((e) => !["start", "checkpoint"].includes(e.type))).toEqual(records);
    expect(events.filter((e) => e.type === "checkpoint").map((e) => "step" in e && e.step)).toEqual([
      4, 8, 12,
    ]);
  });

  it("moves what is trainable alone", async () => {
    const weightsAfter = async (steps: number) => {
      const directory = place(`trainable for ${steps}`);
      await train({ ...runs.perceptron, trainable: ["layers.0.*"], steps }, { directory });
      using model = await loadModel(path.join(directory, "checkpoint"));
      return Promise.all(
        model.parameters.map(async ({ name }, i) => ({
          name,
          bytes: Buffer.from(await model.handle.read(i, 0, 1 << 20)),
        })),
      );
    };
    const [early, late] = [await weightsAfter(1), await weightsAfter(6)];
    for (const [i, { name, bytes }] of early.entries())
      expect(bytes.equals(late[i]?.bytes as Buffer)).toBe(!name.startsWith("layers.0."));
  });

  it("writes the loss along Δ at one step", async () => {
    const records = readMetrics(place("records language model"));
    const landscapes = records.filter((r) => r.type === "landscape");
    expect(landscapes).toHaveLength(1);
    const [found] = landscapes;
    // The stable phase is steps 4–9.
    expect(found?.step).toBe(6);
    const step = records.find((r): r is StepRecord => r.type === "step" && r.step === 6);
    const { lower, upper, criticalLearningRate } = step?.measurement ?? {};
    expect(found).toMatchObject({ baseLoss: step?.loss, criticalLearningRate, learningRate: 0.003 });
    expect(found?.points).toHaveLength(5);
    for (const { learningRate, loss } of found?.points ?? [])
      if (learningRate >= (upper as number)) expect(loss).toBeGreaterThan(found?.baseLoss as number);
      else if (learningRate <= (lower as number)) expect(loss).toBeLessThanOrEqual(found?.baseLoss as number);
  });

  it("measures without touching the training: without measurements the losses are the same", async () => {
    const directory = place("unmeasured");
    await train({ ...runs["language model"], measure: null, landscape: null }, { directory });
    const losses = (where: string) => readMetrics(where).flatMap((r) => (r.type === "step" ? [r.loss] : []));
    expect(losses(directory)).toEqual(losses(place("records language model")));
    expect(await digestOf(directory)).toBe(await digestOf(place("records language model")));
  });

  it.each(kinds)("goes on after a stop, bit for bit: %s", async (kind) => {
    const whole = place(`records ${kind}`);
    const directory = place(`stopped ${kind}`);
    // Stopped by the signal, ended by an exception without a checkpoint, stopped again, at steps drawn anew every time.
    const draw = (from: number, to: number) => from + Math.floor(Math.random() * (to - from));
    const ends = [draw(1, 4), draw(5, 8), draw(8, 11)];
    for (const [i, end] of ends.entries()) {
      const stop = new AbortController();
      const onProgress = (event: TrainEvent) => {
        if (event.type !== "step" || event.step !== end) return;
        if (i === 1) throw new Error("crash");
        stop.abort(new Error("enough"));
      };
      const failure = i === 1 ? { message: "crash" } : { name: "AbortError", code: "ABORT_ERR" };
      await expect(train(runs[kind], { directory, signal: stop.signal, onProgress })).rejects.toMatchObject(
        failure,
      );
    }
    const result = await train(runs[kind], { directory });
    expect(result.resumedFrom, `ends ${ends}`).toBe(ends[2]);
    expect(withoutSeconds(readMetrics(directory)), `ends ${ends}`).toEqual(
      withoutSeconds(readMetrics(whole)),
    );
    expect(await digestOf(directory)).toBe(await digestOf(whole));
  });

  it("removes a line cut short and what follows the checkpoint", async () => {
    const directory = place("cut");
    const crash = (event: TrainEvent) => {
      if (event.type === "step" && event.step === 6) throw new Error("crash");
    };
    await expect(train(mlpRun, { directory, onProgress: crash })).rejects.toThrow("crash");
    const file = path.join(directory, "metrics.jsonl");
    writeFileSync(file, readFileSync(file, "utf8").slice(0, -30));
    await train(mlpRun, { directory });
    expect(withoutSeconds(readMetrics(directory))).toEqual(
      withoutSeconds(readMetrics(place("records perceptron"))),
    );
  });

  it("leaves a finished run as it is, and makes it again when asked to", async () => {
    const directory = place("records perceptron");
    const before = readFileSync(path.join(directory, "metrics.jsonl"));
    const result = await train(mlpRun, { directory });
    expect(result).toMatchObject({ steps: 12, resumedFrom: 12 });
    expect(result.loss).toBeGreaterThan(0);
    expect(readFileSync(path.join(directory, "metrics.jsonl"))).toEqual(before);
    writeFileSync(path.join(directory, "notes.txt"), "mine");
    expect(await train(mlpRun, { directory, fresh: true })).toMatchObject({ resumedFrom: 0 });
    expect(existsSync(path.join(directory, "notes.txt"))).toBe(true);
  });

  it("starts from a model's directory", async () => {
    const directory = place("from directory");
    const model = { directory: path.join(place("records language model"), "checkpoint") };
    const { loss } = await train({ ...runs["language model"], model, steps: 1 }, { directory });
    const first = readMetrics(place("records language model")).find((r) => r.type === "step");
    expect(loss).toBeLessThan(first?.loss as number);
  });

  it("holds no more after a thousand steps than after ten", async () => {
    const handles: number[] = [];
    const bytes: number[] = [];
    const onProgress = (event: TrainEvent) => {
      if (event.type !== "step") return;
      handles.push(native().memory().handles);
      bytes.push(native().memory().bytes);
    };
    await train(
      { ...mlpRun, steps: 1000, checkpoint: { every: 500 } },
      { directory: place("long"), onProgress },
    );
    expect(handles[999]).toBe(handles[9]);
    expect(bytes[999]).toBe(bytes[9]);
    expect(native().memory()).toEqual({ handles: 0, bytes: 0 });
  });

  it("stops with an error when the training diverges", async () => {
    const diverging = {
      ...mlpRun,
      steps: 400,
      optimizer: { type: "sgd", learningRate: 1e30 },
      measure: null,
    } as const;
    await expect(train(diverging, { directory: place("diverging") })).rejects.toMatchObject({
      code: "ERR_DIVERGED",
    });
    const records = readFileSync(path.join(place("diverging"), "metrics.jsonl"), "utf8")
      .trim()
      .split("\n");
    const steps = records.map((line) => JSON.parse(line));
    const last = steps.pop();
    expect(last).toEqual({
      type: "diverged",
      step: steps.length + 1,
      received: expect.stringMatching(/^loss /),
    });
    const { html } = await writeReport(place("diverging"));
    expect(readFileSync(html as string, "utf8")).toContain(`The training diverged`);
  });
});

describe("a run directory", () => {
  const directory = place("records perceptron");
  it.each([
    [{ optimizer: { ...mlpRun.optimizer, learningRate: 0.2 } }, "Expected 0.1 for optimizer.learningRate"],
    [{ seed: 2 }, "Expected 1 for model.seed"],
    [{ steps: 13 }, "Expected 12 for steps"],
    [{ measure: null }, "for measure"],
    [{ model: { ...mlpRun.model, layer_sizes: [6, 17, 3] } }, "Expected 16 for model.layer_sizes[1]"],
  ])("of another configuration is refused: %j", async (change, message) => {
    await expect(train({ ...mlpRun, ...change } as typeof mlpRun, { directory })).rejects.toMatchObject({
      code: "ERR_RUN_DIRECTORY",
      message: expect.stringContaining(message),
    });
  });
  it("that is no run's is refused, also with fresh", async () => {
    const other = temporaryFolder();
    writeFileSync(path.join(other, "config.json"), '{"model_type":"gpt2"}');
    for (const fresh of [false, true])
      await expect(train(mlpRun, { directory: other, fresh })).rejects.toMatchObject({
        code: "ERR_RUN_DIRECTORY",
      });
    await expect(train(mlpRun, { directory: path.join(other, "config.json") })).rejects.toMatchObject({
      code: "ERR_RUN_DIRECTORY",
    });
  });
  it("in which nothing was trained takes another configuration", async () => {
    const failed = place("failed");
    const missing = { ...gptRun(`${text}.none`), steps: 1 };
    await expect(train(missing, { directory: failed })).rejects.toMatchObject({ code: "ERR_FILE" });
    await train({ ...gptRun(text), steps: 1 }, { directory: failed });
    const stored = JSON.parse(readFileSync(path.join(failed, "config.json"), "utf8"));
    expect(stored.data.files).toEqual([text]);
    expect(Date.parse(stored.created)).toBeGreaterThan(0);
    expect(stored.versions.libtorch).toMatch(/^\d/);
  });
  it("with a damaged checkpoint is refused", async () => {
    const damaged = place("damaged");
    await train({ ...mlpRun, steps: 4 }, { directory: damaged });
    writeFileSync(path.join(damaged, "checkpoint/state.json"), '{"version":');
    await expect(train({ ...mlpRun, steps: 4 }, { directory: damaged })).rejects.toMatchObject({
      code: "ERR_CHECKPOINT",
    });
  });
});

describe("misuse of train", () => {
  const directory = place("misuse");
  it.each([
    [() => train(mlpRun, undefined as never), "options.directory"],
    [() => train(mlpRun, { directory: "" }), "options.directory"],
    [() => train(mlpRun, { directory, signal: 1 as never }), "options.signal"],
    [() => train(mlpRun, { directory, onProgress: "x" as never }), "options.onProgress"],
    [() => train(mlpRun, { directory, fresh: "x" as never }), "options.fresh"],
    [() => train(null as never, { directory }), "the configuration"],
    [() => train(mlpRun, { directory, signal: AbortSignal.abort() }), "aborted"],
  ])("case %#", async (call, part) => {
    await expect(call()).rejects.toMatchObject({
      code: expect.any(String),
      message: expect.stringContaining(part),
    });
    expect(existsSync(directory)).toBe(false);
  });

  const gpt = gptRun(text);
  it.each([
    [{ ...mlpRun, data: gpt.data }, "for data but received text or tokens"],
    [{ ...gpt, data: mlpRun.data }, "for data but received examples"],
    [{ ...gpt, model: { ...gpt.model, vocab_size: 255 } }, "for model.vocab_size but received 255"],
    [{ ...gpt, batch: { size: 4, sequence: 17 } }, "for batch.sequence but received 17"],
    [{ ...mlpRun, batch: { size: 4, sequence: 17 } }, "for batch.sequence but received 17"],
    [{ ...mlpRun, data: { ...mlpRun.data, features: 5 } }, "for model.layer_sizes"],
    [{ ...mlpRun, data: { ...mlpRun.data, task: "classification" } }, 'Expected "cross_entropy"'],
    [{ ...mlpRun, batch: { size: 500 } }, "at least 500 examples"],
    [{ ...gpt, data: { type: "text", files: [`${text}.none`] } }, "text.txt.none"],
    [{ ...mlpRun, optimizer: { ...mlpRun.optimizer, groups: [{ parameters: ["x"] }] } }, 'but received "x"'],
  ])("what does not fit together, case %#", async (configuration, part) => {
    await expect(
      train(configuration as typeof mlpRun, { directory: temporaryFolder() }),
    ).rejects.toMatchObject({
      code: expect.any(String),
      message: expect.stringContaining(part),
    });
    expect(native().memory()).toEqual({ handles: 0, bytes: 0 });
  });
});
