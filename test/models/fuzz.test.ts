import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import fc from "fast-check";
import { beforeAll, expect, test } from "vitest";
import { CriticalSharpnessError } from "../../lib/errors.js";
import { type Batch, createModel, Direction, loadBatches, loadModel, type Model } from "../../lib/index.js";
import { readSafetensorsHeader } from "../../lib/models/safetensors.js";
import { temporaryFolder } from "../data/helpers.js";
import { float32, int64, mlp, pack, randomModel, safetensors } from "./files.js";

const root = temporaryFolder();
const small = { ...mlp, layer_sizes: [2, 2] };

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

/** Numbers, texts and structures that parsers trip over. */
const odd = fc.oneof(
  fc.constantFrom<unknown>(
    0,
    -1,
    1.5,
    1e308,
    2 ** 31,
    2 ** 53,
    -(2 ** 63),
    "",
    "F32",
    "I64",
    "\0",
    null,
    true,
    [],
    {},
    [[]],
    [2, 2],
    [0, 16],
    [16, 0],
    [0, 2 ** 52],
    [2 ** 26, 2 ** 26],
    "__proto__",
  ),
  fc.jsonValue(),
);

type Mutation = (file: Buffer) => Buffer;
const at = (length: number, fraction: number) => Math.min(length - 1, Math.floor(fraction * length));
const place = fc.double({ min: 0, max: 1, noNaN: true });

const mutations: fc.Arbitrary<Mutation> = fc.oneof(
  fc.tuple(place, fc.nat(255)).map(
    ([where, byte]): Mutation =>
      (file) => {
        const copy = Buffer.from(file);
        if (copy.length > 0) copy[at(copy.length, where)] = byte;
        return copy;
      },
  ),
  place.map(
    (where): Mutation =>
      (file) =>
        file.subarray(0, Math.floor(where * file.length)),
  ),
  fc.tuple(place, fc.uint8Array({ maxLength: 16 })).map(
    ([where, bytes]): Mutation =>
      (file) => {
        const cut = Math.floor(where * file.length);
        return Buffer.concat([file.subarray(0, cut), bytes, file.subarray(cut)]);
      },
  ),
  fc.tuple(place, place).map(
    ([from, to]): Mutation =>
      (file) => {
        const [begin, end] = [from, to].map((f) => Math.floor(f * file.length)).sort((a, b) => a - b);
        return Buffer.concat([file.subarray(0, begin), file.subarray(end)]);
      },
  ),
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(
    (length): Mutation =>
      (file) => {
        const copy = Buffer.from(file);
        if (copy.length >= 8) copy.writeBigUInt64LE(length);
        return copy;
      },
  ),
  // A field of one entry of a header that stays JSON.
  fc.tuple(place, fc.constantFrom("dtype", "shape", "data_offsets", "entry", "name", "extra"), odd).map(
    ([which, field, value]): Mutation =>
      (file) => {
        const parsed = headerOf(file);
        if (!parsed) return file;
        const entries = Object.entries(parsed.header);
        const [name, entry] = entries[at(entries.length, which)] ?? ["x", {}];
        const { header } = parsed;
        if (field === "entry") header[name] = value;
        else if (field === "name")
          Object.defineProperty(header, String(value), { value: entry, enumerable: true });
        else if (field === "extra") header.__metadata__ = value;
        else header[name] = { ...(entry as object), [field]: value };
        return safetensors(header, parsed.data);
      },
  ),
);

function headerOf(file: Buffer): { header: Record<string, unknown>; data: Buffer } | undefined {
  try {
    const end = 8 + Number(file.readBigUInt64LE());
    const header = JSON.parse(file.subarray(8, end).toString());
    return header && typeof header === "object" ? { header, data: file.subarray(end) } : undefined;
  } catch {
    return undefined;
  }
}

/** A sound file and a few mutations of it, one after the other. */
const mutated = (file: Buffer) =>
  fc
    .array(mutations, { minLength: 1, maxLength: 4 })
    .map((list) => list.reduce((f, mutate) => mutate(f), file));

let reached = { resolved: 0, rejected: 0 };
/** The call gives a result, or an error that a program can tell by its code and a person by its message. */
async function wellBehaved(call: () => Promise<unknown>): Promise<void> {
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
}

let language: Model;
let regression: Model;
beforeAll(async () => {
  language = await randomModel();
  regression = await createModel(small);
});

async function fuzz(
  files: Buffer[],
  numRuns: number,
  use: (file: string) => Promise<unknown>,
): Promise<void> {
  reached = { resolved: 0, rejected: 0 };
  const file = path.join(root, "fuzzed.safetensors");
  const property = fc.asyncProperty(fc.oneof(...files.map(mutated)), async (content) => {
    writeFileSync(file, content);
    await wellBehaved(() => use(file));
  });
  await fc.assert(property, { numRuns });
  // Some mutations do no harm, most do: else it would be something else that is tested here.
  expect(reached.resolved).toBeGreaterThan(numRuns / 100);
  expect(reached.rejected).toBeGreaterThan(numRuns / 4);
}

test("headers", async () => {
  await fuzz([tokens, examples, weights], 1500, readSafetensorsHeader);
});

test("batches, and passes over those that can be read", async () => {
  await fuzz([tokens, examples], 1500, async (file) => {
    for (const batch of await loadBatches(file)) await pass(batch);
  });
});

async function pass(batch: Batch): Promise<void> {
  using own = batch;
  await (own.kind === "tokens" ? language : regression).loss(own);
}

test("directions", async () => {
  await fuzz([weights], 500, async (file) => {
    using direction = await Direction.load(file, regression);
    await direction.norm();
  });
});

test("models", async () => {
  const folder = path.join(root, "model");
  mkdirSync(folder);
  writeFileSync(path.join(folder, "config.json"), JSON.stringify(small));
  await fuzz([weights], 500, async (file) => {
    copyFileSync(file, path.join(folder, "model.safetensors"));
    using model = await loadModel(folder);
    await model.digest();
  });
});

test("configurations", async () => {
  const folder = path.join(root, "configured");
  mkdirSync(folder);
  writeFileSync(path.join(folder, "model.safetensors"), weights);
  const keys = fc.constantFrom("model_type", "layer_sizes", "activation", "loss", "__proto__", "extra");
  const property = fc.asyncProperty(fc.dictionary(keys, odd, { maxKeys: 2 }), async (changes) => {
    writeFileSync(path.join(folder, "config.json"), JSON.stringify({ ...small, ...changes }));
    await wellBehaved(async () => (await loadModel(folder)).dispose());
  });
  await fc.assert(property, { numRuns: 300 });
});
