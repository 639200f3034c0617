import path from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { describeModel } from "../../lib/experiments/describe.js";
import { parseConfiguration, readConfiguration } from "../../lib/experiments/index.js";
import { makeSchedule } from "../../lib/experiments/schedule.js";
import { kinds } from "../../lib/optimizers/index.js";
import { put } from "../data/helpers.js";
import { gptRun, mlpRun, temporaryFolder } from "./helpers.js";

const gpt = gptRun("text.txt");
const adamw = gpt.optimizer;
const wsd = gpt.schedule;
const optimizers = kinds.map((kind) => JSON.stringify(kind)).join(" or ");

describe("a configuration", () => {
  it("gets every default, and stays as it is when it is parsed again", () => {
    const minimal = {
      model: mlpRun.model,
      data: mlpRun.data,
      batch: { size: 1 },
      optimizer: adamw,
      steps: 9,
    };
    const parsed = parseConfiguration(minimal);
    expect(parsed).toMatchObject({
      model: { seed: 0 },
      dtype: "float32",
      seed: 0,
      optimizer: { epsilon: 1e-8 },
      schedule: { type: "constant", warmup: 0 },
      measure: { every: 1, tolerance: 1 / 16, method: "interpolated", perturbation: "view" },
      landscape: { step: 5, points: 40, extent: 2 },
      validation: null,
      checkpoint: { every: 100 },
    });
    for (const configuration of [minimal, mlpRun, gpt]) {
      const once = parseConfiguration(configuration);
      expect(parseConfiguration(once)).toEqual(once);
      expect(parseConfiguration(JSON.parse(JSON.stringify(once)))).toEqual(once);
    }
  });
  it("takes language models of every family, and names their keys", () => {
    const llama = { model_type: "llama", vocab_size: 256, hidden_size: 16, num_attention_heads: 2 };
    const run = { ...gpt, model: { ...llama, num_hidden_layers: 2, seed: 3, initialization: "gpt2" } };
    expect(parseConfiguration(run).model).toEqual(run.model);
    expect(describeModel(parseConfiguration(run).model)).toBe(
      "llama: 2 layers, width 16, 2 heads, context 2,048, vocabulary 256, untied embeddings",
    );
    expect(() => parseConfiguration({ ...run, model: { ...run.model, rotary: 1 } })).toThrow('"rotary"');
    expect(() => parseConfiguration({ ...run, model: { ...run.model, hidden_size: 0 } })).toThrow(
      "model.hidden_size",
    );
  });
  it("takes paths relative to its file", async () => {
    const folder = temporaryFolder();
    const file = put(
      folder,
      "run.json",
      JSON.stringify({
        ...gpt,
        model: { directory: "model" },
        data: { type: "jsonl", files: ["a.jsonl", "/b.jsonl"], tokenizer: "t.json" },
      }),
    );
    const { model, data } = await readConfiguration(file);
    expect(model).toEqual({ directory: path.join(folder, "model") });
    expect(data).toMatchObject({
      files: [path.join(folder, "a.jsonl"), "/b.jsonl"],
      tokenizer: path.join(folder, "t.json"),
    });
  });
  it("is what the example is", async () => {
    const example = fileURLToPath(new URL("../../examples/quickstart.json", import.meta.url));
    const { schedule, measure, landscape, steps } = await readConfiguration(example);
    expect(schedule.type).toBe("warmup-stable-decay");
    expect(measure?.every).toBe(1);
    expect(landscape?.step).toBe(steps / 2);
  });
  it("counts a warm-up and decay below 1 as parts of the run", () => {
    const parts = parseConfiguration({ ...gpt, steps: 8, schedule: { ...wsd, warmup: 0.25, decay: 0.375 } });
    const counts = parseConfiguration({ ...gpt, steps: 8, schedule: { ...wsd, warmup: 2, decay: 3 } });
    const rates = (c: typeof parts) =>
      [1, 2, 3, 4, 5, 6, 7, 8].map((step) => makeSchedule(c, c.optimizer.learningRate)(step) / 0.003);
    expect(rates(parts)).toEqual(rates(counts));
    const known = [0.5, 1, 1, 1, 1, 0.75, 0.5, 0.25];
    for (const [i, rate] of rates(parts).entries()) expect(rate).toBeCloseTo(known[i] as number, 12);
    // Steps 3 to 5 are stable.
    expect(parts.landscape?.step).toBe(4);
  });
});

describe("what is wrong is said in one line", () => {
  const cases: [unknown, string][] = [
    [null, "Expected an object for the configuration but received null"],
    [[], "Expected an object for the configuration but received []"],
    [
      { ...mlpRun, stepz: 1 },
      'Expected one of model, dtype, device, parameterDtype, recompute, trainable, reduction, dropoutSeed, buffers, gradientClipping, data, batch, optimizer, schedule, steps, seed, measure, landscape, hessian, validation, checkpoint for a key but received "stepz"',
    ],
    [{ ...mlpRun, steps: undefined }, "Expected a finite number for steps but received undefined"],
    [{ ...mlpRun, steps: 0 }, "Expected a number ≥ 1 for steps but received 0"],
    [{ ...mlpRun, steps: 1.5 }, "Expected an integer for steps but received 1.5"],
    [{ ...mlpRun, steps: "10" }, 'Expected a finite number for steps but received "10"'],
    [{ ...mlpRun, steps: Number.NaN }, "Expected a finite number for steps but received NaN"],
    [{ ...mlpRun, steps: 1e30 }, "Expected an integer ≤ 9007199254740991 for steps but received 1e+30"],
    [{ ...mlpRun, seed: -1 }, "Expected a number ≥ 0 for seed but received -1"],
    [
      { ...mlpRun, dtype: "float16" },
      'Expected "float32" or "float64" or "bfloat16" for dtype but received "float16"',
    ],
    [{ ...mlpRun, optimizer: 3 }, "Expected an object for optimizer but received 3"],
    [{ ...mlpRun, optimizer: {} }, `Expected ${optimizers} for optimizer.type but received undefined`],
    [
      { ...mlpRun, optimizer: { ...adamw, type: "adam" } },
      `Expected ${optimizers} for optimizer.type but received "adam"`,
    ],
    [
      { ...mlpRun, optimizer: { ...adamw, betas: [0.9, 1.5] } },
      "Expected a number < 1 for optimizer.betas[1] but received 1.5",
    ],
    [
      { ...mlpRun, optimizer: { ...adamw, betas: [0.9] } },
      "Expected at least 2 elements for optimizer.betas but received [0.9]",
    ],
    [
      { ...mlpRun, optimizer: { ...adamw, learningRate: 0 } },
      "Expected a number > 0 for optimizer.learningRate but received 0",
    ],
    [{ ...mlpRun, optimizer: { ...adamw, momentum: 0.9 } }, 'for a key of optimizer but received "momentum"'],
    [
      { ...mlpRun, optimizer: { ...adamw, groups: [{}] } },
      "Expected an array for optimizer.groups[0].parameters but received undefined",
    ],
    [{ ...mlpRun, batch: { size: 0 } }, "Expected a number ≥ 1 for batch.size but received 0"],
    [{ ...mlpRun, data: { type: "web" } }, 'or "synthetic" for data.type but received "web"'],
    [
      { ...gpt, data: { type: "text", files: [] } },
      "Expected at least 1 element for data.files but received []",
    ],
    [
      { ...gpt, data: { type: "text", files: [""] } },
      'Expected a non-empty string for data.files[0] but received ""',
    ],
    [{ ...gpt, data: { type: "text", files: "a" } }, 'Expected an array for data.files but received "a"'],
    [
      { ...gpt, data: { type: "tokens", files: ["a"], dtype: "int8" } },
      'Expected "uint16" or "uint32" for data.dtype but received "int8"',
    ],
    [{ ...gpt, data: { type: "state-of-the-union", files: [] } }, 'for a key of data but received "files"'],
    [{ ...mlpRun, measure: { tolerance: 1 } }, "Expected a number < 1 for measure.tolerance but received 1"],
    [{ ...mlpRun, measure: false }, "Expected an object for measure but received false"],
    [
      { ...mlpRun, measure: { method: "newton" } },
      'Expected "interpolated" or "bisection" or "estimated" for measure.method but received "newton"',
    ],
    [{ ...mlpRun, landscape: { step: 13 } }, "Expected a step ≤ 12 for landscape.step but received 13"],
    [
      { ...mlpRun, dtype: "bfloat16", hessian: {} },
      'Expected "float32" or "float64" for dtype, as hessian takes second derivatives, but received "bfloat16"',
    ],
    [{ ...mlpRun, landscape: { extent: -1 } }, "Expected a number > 0 for landscape.extent but received -1"],
    [
      { ...mlpRun, validation: { fraction: 1 } },
      "Expected a number < 1 for validation.fraction but received 1",
    ],
    [{ ...mlpRun, checkpoint: { every: 0 } }, "Expected a number ≥ 1 for checkpoint.every but received 0"],
    [{ ...mlpRun, checkpoint: null }, "Expected an object for checkpoint but received null"],
    [
      { ...gpt, schedule: { ...wsd, warmup: 7, decay: 6 } },
      "for schedule.warmup and schedule.decay but received 7 and 6",
    ],
    [{ ...gpt, schedule: { ...wsd, warmup: 1.5 } }, "for schedule.warmup but received 1.5"],
    [{ ...gpt, schedule: { ...wsd, finalLearningRate: 1 } }, "for schedule.finalLearningRate but received 1"],
    [{ ...gpt, schedule: { type: "cosine", warmup: 13 } }, "for schedule.warmup but received 13"],
    [{ ...gpt, model: {} }, "for model.model_type but received undefined"],
    [{ ...gpt, model: { ...gpt.model, n_head: 3 } }, "for model.n_head but received 3"],
    [{ ...gpt, model: { ...gpt.model, heads: 3 } }, "for model but received"],
    [{ ...gpt, model: { ...gpt.model, seed: -1 } }, "Expected an integer ≥ 0 for model.seed but received -1"],
    [
      { ...gpt, model: { ...gpt.model, initialization: "xavier" } },
      'for model.initialization but received "xavier"',
    ],
    [{ ...gpt, model: { directory: "" } }, 'Expected a path for model.directory but received ""'],
    [
      { ...gpt, model: { directory: "a", seed: 1 } },
      'Expected no key beside it for model.directory but received "seed"',
    ],
    [{ ...gpt, model: "a" }, 'Expected an object for model but received "a"'],
  ];
  it.each(cases.map(([input, message]) => ({ input, message })))("$message", ({ input, message }) => {
    const parse = () => parseConfiguration(input, { file: "run.json" });
    expect(parse).toThrow(expect.objectContaining({ code: "ERR_CONFIGURATION" }) as unknown as Error);
    expect(parse).toThrow(message);
    expect(parse).toThrow(/ \(in run\.json\)$/);
  });
  it("also for a file that is not JSON or not there", async () => {
    const folder = temporaryFolder();
    await expect(readConfiguration(put(folder, "run.json", "{"))).rejects.toMatchObject({
      code: "ERR_CONFIGURATION",
      message: expect.stringMatching(
        /^Expected JSON for the configuration but received: .* \(in run\.json\)$/,
      ),
    });
    await expect(readConfiguration(path.join(folder, "none.json"))).rejects.toMatchObject({
      code: "ERR_FILE",
    });
  });
});
