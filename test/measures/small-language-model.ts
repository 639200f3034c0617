import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll } from "vitest";
import { random } from "../../lib/data/random.js";
import {
  Batch,
  type ComputeDtype,
  createModel,
  Direction,
  loadModel,
  type Model,
  Sgd,
} from "../../lib/index.js";

const config = {
  model_type: "gpt2",
  vocab_size: 128,
  n_positions: 32,
  n_embd: 32,
  n_layer: 2,
  n_head: 2,
} as const;
const [rows, sequence] = [8, 32];

const folder = mkdtempSync(path.join(os.tmpdir(), "critical-sharpness-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Random tokens, the early ones of the vocabulary more often. */
export function tokens(seed: number): Batch {
  const draw = random(seed, "tokens");
  const ids = Int32Array.from({ length: rows * sequence + 1 }, () =>
    Math.floor(config.vocab_size * draw.uniform() * draw.uniform()),
  );
  return Batch.tokens({ inputIds: ids.subarray(0, -1), labels: ids.subarray(1), shape: [rows, sequence] });
}

/** One network after a few steps, the same weights in each arithmetic. */
export async function sameModel<const Dtypes extends readonly ComputeDtype[]>(
  dtypes: Dtypes,
): Promise<{ -readonly [K in keyof Dtypes]: Model }> {
  const directory = path.join(folder, "model");
  using model = await createModel(config, { seed: 1 });
  const optimizer = new Sgd(model, { learningRate: 0.3 });
  for (let step = 0; step < 20; step++) {
    using batch = tokens(step);
    const { gradient } = await model.gradient(batch);
    await optimizer.accumulate(gradient);
    gradient.dispose();
    await optimizer.step();
  }
  optimizer.dispose();
  await model.save(directory);
  const models = await Promise.all(dtypes.map((dtype) => loadModel(directory, { dtype })));
  return models as { -readonly [K in keyof Dtypes]: Model };
}

/** The same vector for another model of the same parameters. */
export async function moved(direction: Direction, model: Model): Promise<Direction> {
  const file = path.join(folder, "direction.safetensors");
  await direction.save(file);
  return Direction.load(file, model);
}
