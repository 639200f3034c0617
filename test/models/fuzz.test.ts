import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import fc from "fast-check";
import { parquetWriteBuffer } from "hyparquet-writer";
import { beforeAll, describe, expect, test } from "vitest";
import { parquetTexts } from "../../lib/data/index.js";
import { CriticalSharpnessError } from "../../lib/errors.js";
import { readSafetensorsHeader } from "../../lib/files/safetensors.js";
import {
  Batch,
  createModel,
  Direction,
  loadBatches,
  loadModel,
  type Model,
  openTokenFile,
  parseConfiguration,
  TokenBatches,
} from "../../lib/index.js";
import { npy, temporaryFolder } from "../data/helpers.js";
import { gptRun } from "../experiments/helpers.js";
import { mutated, odd } from "./file-mutations.js";
import { float32, int64, mlp, pack, randomModel } from "./files.js";

const root = temporaryFolder();
const small = { ...mlp, layer_sizes: [2, 2] };
const gpt2 = { model_type: "gpt2", vocab_size: 5, n_positions: 3, n_embd: 4, n_layer: 1, n_head: 2 };

/** Sound files to begin from. */
const tokens = pack({
  input_ids: int64([2, 1, 3], [1, 5, 3, 9, 0, 2]),
  labels: int64([2, 1, 3], [5, 3, -100, 0, 2, 10]),
});
const examples = pack({ inputs: float32([2, 2], [1, 2, 3, 4]), targets: float32([2, 2], [0.5, 1, 2, 3]) });
const weights = pack({
  "layers.0.weight": float32([2, 2], [1, 2, 3, 4]),
  "layers.0.bias": float32([2], [1, 2]),
});

/** Mutated files in all; `CRITICAL_SHARPNESS_FUZZ=100000` for as many as one likes. */
const usual = 6900;
const scale = Number(process.env.CRITICAL_SHARPNESS_FUZZ ?? usual) / usual;
const times = (share: number) => Math.max(1, Math.round(share * scale));
const timeout = 30_000 * Math.max(1, scale);
/** No file of some hundred bytes takes longer, on however busy a machine. */
const longest = 5_000;

let reached = { resolved: 0, rejected: 0 };
/** The call gives a result, or an error that a program can tell by its code and a person by its message. */
async function wellBehaved(call: () => unknown): Promise<void> {
  const started = performance.now();
  try {
    await call();
    reached.resolved++;
  } catch (error) {
    const known =
      error instanceof CriticalSharpnessError || error instanceof TypeError || error instanceof RangeError;
    expect(known, String(error)).toBe(true);
    expect((error as CriticalSharpnessError).code).toMatch(/^ERR_[A-Z_]+$/);
    expect((error as Error).message).toMatch(/^Expected .+ for .+ but received[: ]/s);
    reached.rejected++;
  }
  expect(performance.now() - started).toBeLessThan(longest);
}

let language: Model;
let regression: Model;
beforeAll(async () => {
  language = await randomModel();
  regression = await createModel(small);
});

async function fuzz(
  files: Buffer[],
  share: number,
  use: (file: string) => Promise<unknown>,
  name = "fuzzed.safetensors",
): Promise<void> {
  reached = { resolved: 0, rejected: 0 };
  const numRuns = times(share);
  const file = path.join(root, name);
  const property = fc.asyncProperty(fc.oneof(...files.map(mutated)), async (content) => {
    writeFileSync(file, content);
    await wellBehaved(() => use(file));
  });
  await fc.assert(property, { numRuns });
  // Some mutations do no harm, most do: else it would be something else that is tested here.
  expect(reached.resolved).toBeGreaterThan(numRuns / 100);
  expect(reached.rejected).toBeGreaterThan(numRuns / 4);
}

test("headers", { timeout }, async () => {
  await fuzz([tokens, examples, weights], 1500, readSafetensorsHeader);
});

test("batches, and passes over those that can be read", { timeout }, async () => {
  await fuzz([tokens, examples], 1500, async (file) => {
    for (const batch of await loadBatches(file)) await pass(batch);
  });
});

async function pass(batch: Batch): Promise<void> {
  using own = batch;
  await (own.kind === "tokens" ? language : regression).loss(own);
}

test("directions", { timeout }, async () => {
  await fuzz([weights], 500, async (file) => {
    using direction = await Direction.load(file, regression);
    await direction.norm();
  });
});

test("models", { timeout }, async () => {
  const folder = path.join(root, "model");
  mkdirSync(folder);
  writeFileSync(path.join(folder, "config.json"), JSON.stringify(small));
  await fuzz([weights], 500, async (file) => {
    copyFileSync(file, path.join(folder, "model.safetensors"));
    using model = await loadModel(folder);
    await model.digest();
  });
});

test("token files", { timeout }, async () => {
  const ids = [1, 5, 3, 9, 0, 2];
  const files = [
    npy("'<u2'", "(6,)", new Uint8Array(Uint16Array.from(ids).buffer)),
    npy("'<u4'", "(3, 2)", new Uint8Array(Uint32Array.from(ids).buffer)),
  ];
  const read = async (file: string) => {
    await using stream = await openTokenFile(file);
    const batches = new TokenBatches(stream, { size: 2, sequence: 2, seed: 1, sampling: "epochs" });
    const data = await batches.training(1);
    using batch = Batch.tokens(data);
    await language.loss(batch);
  };
  await fuzz(files, 800, read, "fuzzed.npy");
});

test("Parquet files", { timeout }, async () => {
  const data = Array.from({ length: 20 }, (_, i) => `row ${i % 6} é`);
  const columnData = [
    { name: "id", data: data.map((_, i) => i), type: "INT32" as const },
    { name: "text", data, type: "STRING" as const },
  ];
  const files = (["SNAPPY", "UNCOMPRESSED"] as const).map((codec) =>
    Buffer.from(parquetWriteBuffer({ columnData, codec, rowGroupSize: 7 })),
  );
  const read = async (file: string) => {
    for await (const _ of parquetTexts([file]));
  };
  await fuzz(files, 500, read, "fuzzed.parquet");
});

describe("configurations", () => {
  const folder = path.join(root, "configured");
  const write = (content: string | Buffer) => writeFileSync(path.join(folder, "config.json"), content);
  const load = async () => (await loadModel(folder)).dispose();
  beforeAll(() => {
    mkdirSync(folder);
    writeFileSync(path.join(folder, "model.safetensors"), weights);
  });

  test("of models, with odd values", { timeout }, async () => {
    const keys = fc.constantFrom(...Object.keys({ ...small, ...gpt2 }), "__proto__", "extra");
    const property = fc.asyncProperty(
      fc.constantFrom(small, gpt2),
      fc.dictionary(keys, odd, { maxKeys: 2 }),
      async (config, changes) => {
        write(JSON.stringify({ ...config, ...changes }));
        await wellBehaved(load);
      },
    );
    await fc.assert(property, { numRuns: times(500) });
  });

  test("of models, with other bytes", { timeout }, async () => {
    await fuzz([Buffer.from(JSON.stringify(small))], 500, async (file) => {
      write(readFileSync(file));
      await load();
    });
  });

  test("of runs", { timeout }, async () => {
    const paths = pathsOf(gptRun("text.txt"));
    const property = fc.asyncProperty(
      fc.array(fc.tuple(fc.constantFrom(...paths), odd), { minLength: 1, maxLength: 2 }),
      async (changes) => {
        const configuration = structuredClone(gptRun("text.txt"));
        for (const [place, value] of changes) put(configuration, place, value);
        await wellBehaved(() => parseConfiguration(configuration));
      },
    );
    await fc.assert(property, { numRuns: times(600) });
  });
});

/** Where the values of an object stand, at any depth. */
function pathsOf(value: object, before: string[] = []): string[][] {
  return Object.entries(value).flatMap(([key, inner]) => {
    const here = [...before, key];
    return typeof inner === "object" && inner !== null ? [here, ...pathsOf(inner, here)] : [here];
  });
}

function put(target: object, place: readonly string[], value: unknown): void {
  let at = target as Record<string, unknown>;
  for (const key of place.slice(0, -1)) {
    if (typeof at[key] !== "object" || at[key] === null) return;
    at = at[key] as Record<string, unknown>;
  }
  at[place.at(-1) as string] = value;
}
