import path from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { AdamW, Batch, createModel, Direction, type Model } from "../../lib/index.js";
import { failure, put, temporaryFolder } from "../data/helpers.js";
import { badArgument, float32, float64, int64, mlp, numbers, pack, raw, unpack, weights } from "./files.js";

const root = temporaryFolder();
const names = ["layers.0.weight", "layers.0.bias", "layers.1.weight", "layers.1.bias"];
const sizes = [24, 6, 18, 3];
const values = (n: number, seed = 1) =>
  Array.from({ length: n }, (_, i) => Math.fround(Math.sin(seed * (i + 1))));

/** All numbers of a direction, 0 where it has no tensor. */
async function all(direction: Direction): Promise<number[]> {
  const found: number[] = [];
  for (const [index, { size }] of direction.parameters.entries())
    found.push(...numbers(await direction.handle.read(index, 0, 8 * size), direction.dtype));
  return found;
}

/** A direction from numbers, by way of a file. */
async function from(model: Model, numbersOf: number[], dtype = float32): Promise<Direction> {
  let start = 0;
  const tensors = model.parameters.map(({ name, shape, size }) => {
    start += size;
    return [name, dtype(shape, numbersOf.slice(start - size, start))] as const;
  });
  return Direction.load(put(root, "made.safetensors", pack(Object.fromEntries(tensors))), model);
}

const total = sizes.reduce((a, b) => a + b);
let model: Model;
beforeAll(async () => {
  model = await createModel(mlp, { seed: 1 });
});

describe("between two models", () => {
  test.each(["float32", "float64"] as const)("θ − 1·Δ is the other, %s", async (dtype) => {
    const [a, b] = [await createModel(mlp, { seed: 1, dtype }), await createModel(mlp, { seed: 2, dtype })];
    const delta = await Direction.between(a, b);
    const [from_, to, moved] = [await weights(a), await weights(b), await all(delta)];
    const round = dtype === "float32" ? Math.fround : (x: number) => x;
    expect(moved).toEqual(from_.map((x, i) => round(x - (to[i] as number))));
    const data = {
      inputs: Float64Array.from(values(12)),
      targets: Float64Array.from(values(9)),
      shape: [3] as const,
    };
    const batch = Batch.examples(data);
    for (const mode of ["view", "in-place"] as const) {
      const loss = await a.loss(batch, { perturbation: { direction: delta, learningRate: 1, mode } });
      expect(Math.abs(loss / (await b.loss(batch)) - 1)).toBeLessThan(dtype === "float32" ? 1e-6 : 1e-14);
    }
    expect(await (await Direction.between(a, a)).norm()).toBe(0);
  });

  test("needs two of the same layout and precision", async () => {
    const wide = await createModel(mlp, { dtype: "float64" });
    const larger = await createModel({ ...mlp, layer_sizes: [4, 7, 3] });
    for (const other of [wide, larger])
      await expect(Direction.between(model, other)).rejects.toMatchObject({ code: "ERR_MODEL_MISMATCH" });
    for (const other of [undefined, null, {}, 3])
      await expect(Direction.between(model, other as unknown as Model)).rejects.toEqual(badArgument);
  });
});

describe("arithmetic", () => {
  test("dot and norm are sums in float64", async () => {
    const [x, y] = [values(total), values(total, 1.7)];
    const [a, b] = [await from(model, x), await from(model, y)];
    const sum = (f: (i: number) => number) => x.reduce((s, _, i) => s + f(i), 0);
    expect(await a.dot(b)).toBeCloseTo(
      sum((i) => (x[i] as number) * (y[i] as number)),
      13,
    );
    expect(await a.dot(b)).toBe(await b.dot(a));
    expect(await a.norm()).toBeCloseTo(Math.sqrt(sum((i) => (x[i] as number) ** 2)), 13);
    // In float32 the small ones would be lost, and the squares overflow.
    const huge = await from(model, [2 ** 100, ...Array(total - 1).fill(2 ** 80)]);
    expect((await huge.norm()) / Math.sqrt(2 ** 200 + (total - 1) * 2 ** 160)).toBeCloseTo(1, 15);
  });

  test("scale makes a new one, rounded to the precision", async () => {
    const x = values(total);
    const a = await from(model, x);
    for (const k of [0, -1, 0.1, 1e30])
      expect(await all(await a.scale(k))).toEqual(x.map((v) => Math.fround(v * Math.fround(k))));
    expect(await all(a)).toEqual(x);
    for (const k of [NaN, Infinity, "2", null, undefined])
      await expect(a.scale(k as number)).rejects.toEqual(badArgument);
  });

  test("mask keeps what was chosen, and outlives what it was made from", async () => {
    const x = values(total);
    const a = await from(model, x);
    const choices = [
      ["layers.0.bias", [false, true, false, false]],
      [
        ["layers.1.weight", "layers.0.weight"],
        [true, false, true, false],
      ],
      [(p: { shape: readonly number[] }) => p.shape.length === 2, [true, false, true, false]],
      [[], [false, false, false, false]],
    ] as const;
    for (const [choice, kept] of choices) {
      const masked = a.mask(choice as string);
      expect(names.map((_, i) => masked.handle.has(i))).toEqual(kept);
      const keeps = sizes.flatMap((size, i) => Array(size).fill(kept[i]));
      expect(await all(masked)).toEqual(x.map((v, i) => (keeps[i] ? v : 0)));
      expect(masked.byteLength).toBe(4 * keeps.filter(Boolean).length);
      expect(await masked.dot(a)).toBeCloseTo((await masked.norm()) ** 2, 12);
      masked.dispose();
    }
    const masked = a.mask("layers.0.weight");
    a.dispose();
    expect(await all(masked)).toEqual(x.map((v, i) => (i < 24 ? v : 0)));
    for (const wrong of ["layers.2.bias", ["layers.0.bias", "x"], 3, null, undefined, [3]])
      expect(() => masked.mask(wrong as string)).toThrow(badArgument);
  });

  test.each(["float32", "float64"] as const)("tells which parameter is not finite, %s", async (dtype) => {
    const own = await createModel(mlp, { seed: 1, dtype });
    const pack64 = (x: number[]) => from(own, x, float64);
    const first = [0, 24, 30, 48]; // of each parameter, its first number
    for (const bad of [NaN, Infinity, -Infinity])
      for (const [i, name] of names.entries())
        for (const place of [first[i] as number, (first[i] as number) + (sizes[i] as number) - 1]) {
          const direction = await pack64(values(total).with(place, bad));
          expect(await direction.nonFiniteParameter()).toBe(name);
          expect(await direction.mask(names.filter((n) => n !== name)).nonFiniteParameter()).toBeNull();
        }
    // The first of several, and numbers whose squares are beyond what a number holds.
    expect(await (await pack64(values(total).with(49, NaN).with(25, Infinity))).nonFiniteParameter()).toBe(
      "layers.0.bias",
    );
    const largest = dtype === "float32" ? (2 - 2 ** -23) * 2 ** 127 : Number.MAX_VALUE;
    const huge = await pack64(Array(total).fill(largest));
    expect(await huge.nonFiniteParameter()).toBeNull();
    expect(await (await pack64(Array(total).fill(largest).with(50, NaN))).nonFiniteParameter()).toBe(
      "layers.1.bias",
    );
    expect(await (await pack64(Array(total).fill(0))).nonFiniteParameter()).toBeNull();
  });

  test("tells it of a direction that an optimizer makes where it is used", async () => {
    const own = await createModel(mlp, { seed: 1 });
    const optimizer = new AdamW(own, { learningRate: 0.1 });
    await optimizer.accumulate(await from(own, values(total).with(31, Infinity)));
    using made = await optimizer.direction({ stored: false });
    expect(await made.nonFiniteParameter()).toBe("layers.1.weight");
    using rest = made.mask(names.filter((name) => name !== "layers.1.weight"));
    expect(await rest.nonFiniteParameter()).toBeNull();
    own.dispose();
    made.dispose();
    await expect(made.nonFiniteParameter()).rejects.toMatchObject({ code: "ERR_DISPOSED" });
  });

  test("with a direction of another model or precision is an error", async () => {
    const a = await from(model, values(total));
    const wide = await createModel(mlp, { dtype: "float64" });
    const b = await Direction.between(wide, wide);
    await expect(a.dot(b)).rejects.toMatchObject({ code: "ERR_MODEL_MISMATCH" });
    for (const wrong of [undefined, null, {}, 3])
      await expect(a.dot(wrong as unknown as Direction)).rejects.toEqual(badArgument);
    a.dispose();
    for (const call of [
      () => a.norm(),
      () => a.scale(2),
      () => a.save(path.join(root, "x")),
      async () => a.mask(names),
    ])
      await expect(call()).rejects.toMatchObject({ code: "ERR_DISPOSED" });
  });
});

describe("files", () => {
  test("hold the tensors that there are, and come back bit for bit", async () => {
    for (const dtype of ["float32", "float64"] as const) {
      const own = await createModel(mlp, { dtype });
      const a = await from(
        own,
        Array.from({ length: total }, (_, i) => Math.sin(i)),
        float64,
      );
      const file = path.join(root, "saved.safetensors");
      await a.save(file);
      expect(await all(await Direction.load(file, own))).toEqual(await all(a));
      await a.mask(["layers.0.bias"]).save(file);
      expect(Object.keys(await unpack(file))).toEqual(["layers.0.bias"]);
      const back = await Direction.load(file, own);
      expect([back.handle.has(0), back.handle.has(1)]).toEqual([false, true]);
      expect(await all(back)).toEqual(await all(a.mask("layers.0.bias")));
    }
  });

  test("may be in half precision", async () => {
    const bits = Uint16Array.from([0x3f80, 0xc000, 0x3f00]);
    const file = put(root, "half.safetensors", pack({ "layers.1.bias": raw("BF16", [3], bits) }));
    expect((await all(await Direction.load(file, model))).slice(-3)).toEqual([1, -2, 0.5]);
  });

  test("that do not fit are errors naming file and tensor", async () => {
    const bias = float32([3], [1, 2, 3]);
    const cases: [Record<string, ReturnType<typeof float32>>, string][] = [
      [{ "layers.1.bias": bias, "layers.2.bias": bias }, '"layers.2.bias"'],
      [{ "layers.1.bias": float32([3, 1], [1, 2, 3]) }, '"layers.1.bias"'],
      [{ "layers.1.bias": int64([3], [1, 2, 3]) }, '"layers.1.bias"'],
      [{ "layers.1.bias": raw("I8", [3], Int8Array.of(1, -1, 1)) }, '"layers.1.bias" for'],
      [{ "layers.1.bias": bias, "layers.0.bias": raw("I8", [6], new Int8Array(6)) }, "int8"],
      [{ "layers.1.bias": raw("F8_E5M2", [3], new Uint8Array(3)) }, "float8_e5m2"],
      [{ "base_model.model.layers.1.lora_A.weight": bias }, "Direction.fromAdapter"],
      [{}, "none"],
    ];
    for (const [tensors, part] of cases) {
      const file = put(root, "wrong.safetensors", pack(tensors));
      for (const said of [file, part])
        await expect(Direction.load(file, model)).rejects.toEqual(failure("ERR_DIRECTION_FILE", said));
    }
    const cut = put(root, "cut.safetensors", pack({ "layers.1.bias": bias }).subarray(0, -1));
    await expect(Direction.load(cut, model)).rejects.toEqual(failure("ERR_SAFETENSORS", cut));
    const nowhere = path.join(root, "nowhere", "x");
    await expect(Direction.load(nowhere, model)).rejects.toEqual(failure("ERR_FILE", nowhere));
    const a = await from(model, values(total));
    await expect(a.save(nowhere)).rejects.toEqual(failure("ERR_FILE", nowhere));
    for (const file of [undefined, null, "", 3]) {
      await expect(Direction.load(file as string, model)).rejects.toEqual(badArgument);
      await expect(a.save(file as string)).rejects.toEqual(badArgument);
    }
    await expect(Direction.load(cut, {} as Model)).rejects.toEqual(badArgument);
  });
});

describe("from numbers", () => {
  test("numbers and factors are what they say, and a step has the bits of the loss at θ − ηΔ", async () => {
    const fresh = await createModel(mlp, { seed: 1, dtype: "float64" });
    const left = values(12);
    const right = values(8, 2);
    const bias = values(3, 3);
    const given = { "layers.0.weight": { left, right, rank: 2, scale: 0.5 }, "layers.1.bias": bias };
    const direction = Direction.from(fresh, given);
    expect(direction.stored).toBe(false);
    const product = Array.from({ length: 24 }, (_, i) => {
      const [row, column] = [Math.floor(i / 4), i % 4];
      return (
        0.5 *
        [0, 1].reduce((sum, k) => sum + (left[2 * row + k] as number) * (right[4 * k + column] as number), 0)
      );
    });
    const found = await all(direction);
    for (const [i, x] of [...product, ...Array(24).fill(0), ...bias].entries())
      expect(found[i]).toBeCloseTo(x, 13);
    using stored = await direction.store();
    using alone = Direction.from(fresh, { "layers.1.bias": Float64Array.from(bias) });
    expect(alone.stored).toBe(true);
    using batch = Batch.examples({
      inputs: values(12, 5),
      targets: mlp.loss === "mse" ? Float64Array.from(values(9, 6)) : Int32Array.of(0, 1, 2),
      shape: [3],
    });
    const at = async (d: Direction) =>
      fresh.loss(batch, { perturbation: { direction: d, learningRate: 0.3 } });
    expect(await at(direction)).toBeCloseTo(await at(stored), 12);
    const expected = await at(stored);
    const version = fresh.version;
    await fresh.step(direction, 0.3);
    expect(fresh.version).toBe(version + 1);
    expect(await fresh.loss(batch)).toBe(expected);
  });

  test.each([
    [{ nothing: [1] }, "numbers"],
    [{ "layers.0.bias": [1] }, 'numbers["layers.0.bias"]'],
    [{ "layers.0.bias": { left: [1], right: [1], rank: 1 } }, 'numbers["layers.0.bias"]'],
    [{ "layers.0.weight": { left: [1], right: [1], rank: 0 } }, ".rank"],
    [{ "layers.0.weight": { left: [1], right: values(4), rank: 1 } }, ".left"],
    [{ "layers.0.weight": { left: values(6), right: values(4), rank: 1, scale: Number.NaN } }, ".scale"],
  ])("%o is an error", (given, text) => {
    expect(() => Direction.from(model, given as Parameters<typeof Direction.from>[1])).toThrow(text);
  });
});
