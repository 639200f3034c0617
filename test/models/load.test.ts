import { readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { Batch, loadModel, type Model } from "../../lib/models/index.js";
import { Sgd } from "../../lib/optimizers/index.js";
import { put, temporaryFolder } from "../data/helpers.js";
import {
  float32,
  gpt,
  mlp,
  pack,
  type RawTensor,
  randomModel,
  raw,
  rewrite,
  safetensors,
  unpack,
  weights,
} from "./files.js";

const root = temporaryFolder();
let count = 0;
let folder: string;
let file: string;
let model: Model;
let digest: string;
beforeEach(async () => {
  folder = path.join(root, String(count++));
  file = path.join(folder, "model.safetensors");
  model = await randomModel();
  await model.save(folder);
  digest = await model.digest();
});

const digestOf = async (directory: string, dtype?: "float32" | "float64" | "bfloat16") =>
  (await loadModel(directory, { dtype })).digest();
const _without = (tensors: Record<string, RawTensor>, name: string) => {
  const { [name]: _, ...rest } = tensors;
  return rest;
};

describe("a directory", () => {
  test("gives the weights that were saved, bit for bit", async () => {
    expect(await digestOf(folder)).toBe(digest);
    const loaded = await loadModel(folder);
    expect(loaded.config).toEqual(model.config);
    expect([loaded.version, loaded.dtype]).toEqual([1, "float32"]);
  });

  test("gives the same numbers in every dtype", async () => {
    expect(await digestOf(folder, "bfloat16")).toBe(digest); // float32 master weights
    expect(await weights(await loadModel(folder, { dtype: "float64" }))).toEqual(await weights(model));
  });

  test("of float64 is rounded once where float32 is asked for", async () => {
    const wide = await randomModel(mlp, "float64");
    const step = new Sgd(wide, { learningRate: 1 });
    const inputs = Float64Array.from({ length: 8 }, (_, i) => Math.sin(i));
    await step.accumulate(
      await wide.gradient(Batch.examples({ inputs, targets: new Float64Array(6), shape: [2] })),
    );
    await step.step();
    await wide.save(folder);
    expect(await digestOf(folder, "float64")).toBe(await wide.digest());
    const narrow = await weights(await loadModel(folder));
    expect(narrow).toEqual((await weights(wide)).map(Math.fround));
    expect(narrow).not.toEqual(await weights(wide));
  });

  test("has a head of its own where it is untied", async () => {
    const untied = await randomModel({ ...gpt, tie_word_embeddings: false });
    await untied.save(folder);
    expect(await digestOf(folder)).toBe(await untied.digest());
  });

  test("may have shards", async () => {
    const all = Object.entries(await unpack(file));
    const shards = [all.slice(0, 5), all.slice(5, 6), all.slice(6)].map((s) => Object.fromEntries(s));
    const weightMap: Record<string, string> = {};
    for (const [i, shard] of shards.entries()) {
      const name = `model-0000${i + 1}-of-00003.safetensors`;
      put(folder, name, pack(shard));
      for (const tensor of Object.keys(shard)) weightMap[tensor] = name;
    }
    const index = { metadata: { total_size: 1 }, weight_map: weightMap };
    put(folder, "model.safetensors.index.json", JSON.stringify(index));
    rmSync(file);
    expect(await digestOf(folder)).toBe(digest);
    // Saved into the same place, it is what was saved that is there.
    const other = await randomModel(gpt, "float32", 2);
    await other.save(folder);
    expect(await digestOf(folder)).toBe(await other.digest());
  });

  test("may leave out the prefix, and carry masks and a copy of the tied embedding", async () => {
    await rewrite(file, (tensors) => {
      const bare = Object.entries(tensors).map(
        ([name, t]) => [name.replace(/^transformer\./, ""), t] as const,
      );
      return {
        ...Object.fromEntries(bare),
        "h.0.attn.bias": raw("U8", [1, 1, 6, 6], new Uint8Array(36)),
        "h.0.attn.masked_bias": float32([], [-1e4]),
        "lm_head.weight": tensors["transformer.wte.weight"] as RawTensor,
      };
    });
    expect(await digestOf(folder)).toBe(digest);
  });

  describe("whose head the configuration ties", () => {
    const embedding = "transformer.wte.weight";
    const half = (t: RawTensor) => Uint16Array.from(new Uint32Array(t.bytes.buffer), (bits) => bits >>> 16);
    const widened = (t: RawTensor) => Uint32Array.from(half(t), (bits) => bits << 16);
    const ids = { inputIds: [1, 2, 3, 4], labels: [2, 3, 4, 5], shape: [2, 2] as const };

    test("has one of its own where the file's is another, by a bit", async () => {
      await rewrite(file, (tensors) => {
        const bytes = Uint8Array.from((tensors[embedding] as RawTensor).bytes);
        bytes[bytes.length - 4] = (bytes.at(-4) as number) ^ 1;
        return { ...tensors, "lm_head.weight": { ...(tensors[embedding] as RawTensor), bytes } };
      });
      const loaded = await loadModel(folder);
      expect(loaded.parameters.at(-1)?.name).toBe("lm_head.weight");
      expect(loaded.parameterCount).toBe(model.parameterCount + 88);
      expect(loaded.config).toEqual({ ...model.config, tie_word_embeddings: false });
      const again = path.join(folder, "again");
      await loaded.save(again);
      expect(await digestOf(again)).toBe(await loaded.digest());
      const { gradient } = await loaded.gradient(Batch.tokens(ids));
      expect(await gradient.mask("lm_head.weight").norm()).toBeGreaterThan(0);
    });

    test("is tied to one of another precision with the same numbers, and to none with others", async () => {
      await rewrite(file, (tensors) => {
        const own = tensors[embedding] as RawTensor;
        return {
          ...tensors,
          [embedding]: raw("F32", own.shape, widened(own)),
          "lm_head.weight": raw("BF16", own.shape, half(own)),
        };
      });
      expect((await loadModel(folder)).parameterCount).toBe(model.parameterCount);
      await model.save(folder);
      await rewrite(file, (tensors) => {
        const own = tensors[embedding] as RawTensor;
        return { ...tensors, "lm_head.weight": raw("BF16", own.shape, half(own)) };
      });
      expect((await loadModel(folder)).parameterCount).toBe(model.parameterCount + 88);
    });

    test("may lie there as the head alone", async () => {
      await rewrite(file, ({ [embedding]: own, ...tensors }) => ({
        ...tensors,
        "lm_head.weight": own as RawTensor,
      }));
      expect(await digestOf(folder)).toBe(digest);
    });
  });

  test("may have a dtype for each tensor", async () => {
    const wide = await loadModel(folder, { dtype: "float64" });
    await rewrite(file, (tensors) =>
      Object.fromEntries(
        Object.entries(tensors).map(([name, t], i) => [
          name,
          i % 2 ? t : raw("F64", t.shape, Float64Array.from(new Float32Array(t.bytes.buffer))),
        ]),
      ),
    );
    expect(await digestOf(folder)).toBe(digest);
    expect(await digestOf(folder, "float64")).toBe(await wide.digest());
  });

  test("may have tensors at odd places in the file", async () => {
    const { __metadata__, ...header } = JSON.parse(
      readFileSync(file)
        .subarray(8, 8 + Number(readFileSync(file).readBigUInt64LE()))
        .toString(),
    );
    const data = readFileSync(file).subarray(8 + Number(readFileSync(file).readBigUInt64LE()));
    for (let padding = 0; padding < 4; padding++) {
      writeFileSync(file, safetensors(JSON.stringify(header) + " ".repeat(padding), data));
      expect(await digestOf(folder)).toBe(digest);
    }
  });

  test("is not changed by training what was loaded from it, and may be written over", async () => {
    const bytes = readFileSync(file);
    const loaded = await loadModel(folder);
    const optimizer = new Sgd(loaded, { learningRate: 0.1 });
    const batch = Batch.tokens({ inputIds: [1, 2, 3, 4], labels: [2, 3, 4, 5], shape: [2, 2] });
    await optimizer.accumulate(await loaded.gradient(batch));
    await optimizer.step();
    expect(readFileSync(file)).toEqual(bytes);
    const other = await loadModel(folder);
    await loaded.save(folder);
    expect(await other.digest()).toBe(digest);
    expect(await digestOf(folder)).toBe(await loaded.digest());
  });
});

describe("stored in half precision", () => {
  const every = (tensors: Record<string, RawTensor>, change: (t: RawTensor) => RawTensor) =>
    Object.fromEntries(Object.entries(tensors).map(([name, t]) => [name, change(t)]));

  test("bfloat16 widens exactly", async () => {
    const words = (t: RawTensor) => new Uint32Array(t.bytes.buffer);
    const narrow = (t: RawTensor) =>
      raw(
        "BF16",
        t.shape,
        Uint16Array.from(words(t), (bits) => bits >>> 16),
      );
    await rewrite(file, (tensors) => every(tensors, narrow));
    const loaded = await weights(await loadModel(folder));
    const cut = new Float32Array(
      Uint32Array.from(new Uint32Array(Float32Array.from(await weights(model)).buffer), (b) => b & 0xffff0000)
        .buffer,
    );
    expect(loaded).toEqual(Array.from(cut));
  });

  test("float16 widens exactly, subnormal numbers too", async () => {
    let bits = 1;
    const halves: number[] = [];
    const draw = (t: RawTensor) => {
      const drawn = new Uint16Array(t.shape.reduce((a, b) => a * b, 1)).map(() => {
        bits = (bits * 25173 + 13849) % 65536;
        return (bits & 0x7c00) === 0x7c00 ? 3 : bits; // no infinity, no NaN
      });
      halves.push(...drawn);
      return raw("F16", t.shape, drawn);
    };
    await rewrite(file, (tensors) => every(tensors, draw));
    const value = (h: number) => {
      const exponent = (h >> 10) & 31;
      const fraction = h & 1023;
      const size = exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : (fraction / 1024) * 2 ** -14;
      return h >> 15 ? -size : size;
    };
    for (const dtype of ["float32", "float64"] as const)
      expect(await weights(await loadModel(folder, { dtype }))).toEqual(halves.map(value));
  });
});
