import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { random } from "../../lib/data/index.js";
import { summarizeMix, sweepMix } from "../../lib/experiments/index.js";
import { Batch, createModel, type Model } from "../../lib/models/index.js";
import type { OptimizerChoice } from "../../lib/optimizers/registry.js";

// Both sources are one distribution: every ratio is the same, whatever the noise of a batch of eight does to λc.
const ratios = [0, 0.25, 0.5, 0.75, 1];
const repeats = 60;
const size = 8;
const models: Record<string, Model> = {};
beforeAll(async () => {
  const mlp = { model_type: "mlp", layer_sizes: [8, 16, 1], activation: "gelu", loss: "mse" } as const;
  models.examples = await createModel(mlp, { seed: 3 });
  const sizes = { vocab_size: 16, n_positions: 16, n_embd: 8, n_layer: 1, n_head: 2 };
  models.text = await createModel({ model_type: "gpt2", ...sizes }, { seed: 3 });
});
afterAll(() => {
  for (const model of Object.values(models)) model.dispose();
});

const drawn: Record<string, (key: string, rows: number, index: number) => Batch> = {
  examples(key, rows, index) {
    const draw = random("equal sources", key, index);
    const inputs = Float32Array.from({ length: 8 * rows }, () => draw.normal());
    const targets = Float32Array.from({ length: rows }, (_, i) => {
      const [a, b, c] = inputs.subarray(8 * i) as unknown as [number, number, number];
      return a - b + c ** 2 / 2 + draw.normal();
    });
    return Batch.examples({ inputs, targets, shape: [rows] });
  },
  // Each token is one or two above the one before, most often.
  text(key, rows, index) {
    const draw = random("equal texts", key, index);
    const sequences = Array.from({ length: rows }, () => {
      const tokens = [draw.below(16)];
      while (tokens.length < 17)
        tokens.push(
          draw.uniform() < 0.8 ? ((tokens.at(-1) as number) + 1 + draw.below(2)) % 16 : draw.below(16),
        );
      return tokens;
    });
    return Batch.tokens({
      inputIds: sequences.flatMap((tokens) => tokens.slice(0, -1)),
      labels: sequences.flatMap((tokens) => tokens.slice(1)),
      shape: [rows, 16],
    });
  },
};

async function sweep(kind: string, optimizer: OptimizerChoice, accumulate: number) {
  const source = (key: string, rows: number) => {
    let last: Batch | undefined;
    return (index: number) => {
      last?.dispose();
      last = drawn[kind]?.(key, rows, index) as Batch;
      return last;
    };
  };
  const { measurements } = await sweepMix({
    model: models[kind] as Model,
    update: { varied: source("one", size), rest: source("other", size) },
    evaluate: { held: source("held", 8 * size) },
    ratios,
    accumulate,
    repeats,
    optimizer,
  });
  return summarizeMix(measurements);
}

describe("two sources that are the same", () => {
  it.each<[string, string, OptimizerChoice, number]>([
    ["examples", "SGD", { type: "sgd" }, 1],
    ["examples", "SGD with momentum", { type: "sgd", momentum: 0.9 }, 4],
    ["examples", "AdamW", { type: "adamw", betas: [0.9, 0.95], weightDecay: 0 }, 4],
    ["text", "SGD", { type: "sgd" }, 1],
    ["text", "AdamW", { type: "adamw", betas: [0.9, 0.95], weightDecay: 0 }, 4],
  ])("have one λc at every ratio, and nothing is decided: %s, %s", async (kind, _, optimizer, accumulate) => {
    const { points, recommendation } = await sweep(kind, optimizer, accumulate);
    const found = points.map(({ criticalSharpness }) => criticalSharpness);
    expect(Math.max(...found) / Math.min(...found), found.join()).toBeLessThan(1.3);
    expect(recommendation).toMatchObject({ decided: false, ratios });
  });
});
