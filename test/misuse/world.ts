import { mkdirSync } from "node:fs";
import path from "node:path";
import { inspect } from "node:util";
import {
  AdamW,
  Batch,
  createModel,
  criticalSharpness,
  type Direction,
  type Gradient,
  type Model,
  type SearchResult,
  Sgd,
} from "../../lib/index.js";
import { put, temporaryFolder } from "../data/helpers.js";

/** Objects that are in order, for calls that are not. */
export interface World {
  /** A regression of 4 features to 3 numbers. */
  model: Model;
  batch: Batch;
  gradient: Gradient;
  direction: Direction;
  sgd: Sgd;
  adamw: AdamW;
  /** A classifier of 4 features into 3 classes. */
  classifier: Model;
  classes: Batch;
  /** A language model of 11 tokens. */
  language: Model;
  tokens: Batch;
  /** A direction of the language model. */
  foreign: Direction;
  /** The regression once more, in float64, and a direction of it. */
  wide: Model;
  wideDirection: Direction;
  /** One of each kind, disposed of. */
  gone: { model: Model; batch: Batch; direction: Direction; sgd: Sgd; adamw: AdamW };
  folder: string;
}

/** A misuse: a name of its own, and the call. */
export type Row = readonly [name: string, call: (world: World) => unknown];

/** A misuse for each of the values. */
export function each(
  what: string,
  values: readonly unknown[],
  call: (value: never, world: World) => unknown,
): Row[] {
  return values.map((value) => [
    `${what} = ${inspect(value, { depth: 1, breakLength: Infinity, maxStringLength: 60 })}`,
    (world) => call(value as never, world),
  ]);
}

export const mlp = {
  model_type: "mlp",
  layer_sizes: [4, 6, 3],
  activation: "tanh",
  loss: "mse",
} as const;
export const gpt = {
  model_type: "gpt2",
  vocab_size: 11,
  n_positions: 6,
  n_embd: 8,
  n_layer: 2,
  n_head: 2,
} as const;

export const inputs = Float32Array.from({ length: 20 }, (_, i) => Math.sin(i));
export const targets = Float32Array.from({ length: 15 }, (_, i) => Math.cos(i));
const ids = [1, 5, 3, 9, 0, 2];

/** Call it at the top of a test file: it removes its folder after the tests. */
export function makeWorld(): () => Promise<World> {
  const folder = temporaryFolder();
  return async () => {
    const model = await createModel(mlp, { seed: 1 });
    const language = await createModel(gpt, { seed: 2 });
    const classifier = await createModel({ ...mlp, loss: "cross_entropy" }, { seed: 3 });
    const wide = await createModel(mlp, { seed: 1, dtype: "float64" });
    const batch = Batch.examples({ inputs, targets, shape: [5] });
    const classes = Batch.examples({ inputs, targets: Uint8Array.of(0, 1, 2, 1, 0), shape: [5] });
    const tokens = Batch.tokens({ inputIds: ids, labels: [...ids.slice(1), -100], shape: [2, 3] });
    const gradient = await model.gradient(batch);
    const optimizers = async () => {
      const both = [new Sgd(model, { learningRate: 0.1 }), new AdamW(model, { learningRate: 0.1 })] as const;
      for (const optimizer of both) await optimizer.accumulate(gradient);
      return both;
    };
    const [sgd, adamw] = await optimizers();
    const [goneSgd, goneAdamw] = await optimizers();
    const gone = {
      model: await createModel(mlp),
      batch: Batch.examples({ inputs, targets, shape: [5] }),
      direction: await gradient.gradient.scale(1),
      sgd: goneSgd,
      adamw: goneAdamw,
    };
    for (const owner of Object.values(gone)) owner.dispose();
    return {
      model,
      batch,
      gradient,
      direction: gradient.gradient,
      sgd,
      adamw,
      classifier,
      classes,
      language,
      tokens,
      foreign: (await language.gradient(tokens)).gradient,
      wide,
      wideDirection: (await wide.gradient(batch)).gradient,
      gone,
      folder,
    };
  };
}

let made = 0;
/** A new folder with these files. */
export function folderOf(world: World, files: Record<string, string | Uint8Array>): string {
  const folder = path.join(world.folder, `${made++}`);
  mkdirSync(folder);
  for (const [name, content] of Object.entries(files)) put(folder, name, content);
  return folder;
}
/** A new file with this content. */
export function fileOf(world: World, content: string | Uint8Array, name = "file"): string {
  return path.join(folderOf(world, { [name]: content }), name);
}

/** What a user does next: measurements in both forms, a language model's loss, the weights. */
export async function ordinaryUse({ model, batch, gradient, direction, language, tokens }: World) {
  const results: SearchResult[] = [];
  for (const perturbation of ["view", "in-place"] as const)
    results.push(await criticalSharpness({ model, batch, direction, gradient, perturbation }));
  return { results, loss: await language.loss(tokens), digest: await model.digest(), version: model.version };
}
