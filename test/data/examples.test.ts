import { describe, expect, it } from "vitest";
import { ExampleBatches, loadCifar10, random, syntheticExamples } from "../../lib/data/index.js";
import { xoshiro128 } from "../../lib/data/random.js";
import { failure, put, temporaryFolder } from "./helpers.js";

const folder = temporaryFolder();
const shape = { count: 20, features: 3, outputs: 2, seed: 5 } as const;

describe("random numbers", () => {
  it("are those of xoshiro128**", () => {
    const next = xoshiro128([1, 2, 3, 4]);
    // From the definition, in Python's integers.
    expect(Array.from({ length: 8 }, next)).toEqual([
      11520, 0, 5927040, 70819200, 2031721883, 1637235492, 1287239034, 3734860849,
    ]);
  });
  it("have the moments of their distributions", () => {
    const generator = random("test", 1);
    const n = 100_000;
    const normals = Float64Array.from({ length: n }, () => generator.normal());
    const mean = normals.reduce((a, b) => a + b, 0) / n;
    const variance = normals.reduce((a, b) => a + (b - mean) ** 2, 0) / n;
    expect(Math.abs(mean)).toBeLessThan(0.02);
    expect(Math.abs(variance - 1)).toBeLessThan(0.02);
    const counts = new Uint32Array(7);
    for (let i = 0; i < n; i++) {
      const k = generator.below(7);
      counts[k] = (counts[k] ?? 0) + 1;
    }
    for (const count of counts) expect(Math.abs(count / n - 1 / 7)).toBeLessThan(0.01);
  });
});

describe("synthetic examples", () => {
  it("are the same for the same seed", () => {
    const make = (seed: number) => syntheticExamples({ ...shape, task: "regression", seed });
    expect(make(5)).toEqual(make(5));
    expect(make(5).inputs).not.toEqual(make(6).inputs);
    expect(make(5).targets).toHaveLength(40);
  });
  it("have classes that a classification can learn", () => {
    const { targets, outputs } = syntheticExamples({ ...shape, count: 300, task: "classification" });
    expect(targets).toBeInstanceOf(Int32Array);
    expect(outputs).toBe(2);
    expect(new Set(targets)).toEqual(new Set([0, 1]));
  });
  it("refuse bad options", () => {
    expect(() => syntheticExamples({ ...shape, task: "x" as never })).toThrow(
      failure("ERR_OUT_OF_RANGE", "options.task") as Error,
    );
    expect(() => syntheticExamples({ ...shape, task: "regression", noise: -1 })).toThrow(
      failure("ERR_OUT_OF_RANGE", "options.noise") as Error,
    );
  });
});

describe("example batches", () => {
  const set = syntheticExamples({ ...shape, task: "regression" });
  const rowOf = (inputs: Float32Array, row: number) => inputs.subarray(row * 3, row * 3 + 3).join();

  it("go through every example once an epoch, inputs beside their targets", () => {
    const batches = new ExampleBatches(set, { size: 4, seed: 1, validationFraction: 0.2 });
    const known = new Map(
      Array.from({ length: 20 }, (_, i) => [
        rowOf(set.inputs, i),
        set.targets.subarray(2 * i, 2 * i + 2).join(),
      ]),
    );
    const epochs = [0, 1].map((epoch) =>
      [1, 2, 3, 4].flatMap((k) => {
        const { inputs, targets, shape } = batches.training(4 * epoch + k);
        expect(shape).toEqual([4]);
        return [0, 1, 2, 3].map((row) => {
          const key = rowOf(inputs, row);
          expect(known.get(key)).toBe(targets.subarray(2 * row, 2 * row + 2).join());
          return key;
        });
      }),
    );
    expect(new Set(epochs[0]).size).toBe(16);
    expect(new Set(epochs[1])).toEqual(new Set(epochs[0]));
    expect(epochs[1]).not.toEqual(epochs[0]);
    expect(batches.validationBatches).toBe(1);
    const held = batches.validation(0);
    expect(held.inputs).toEqual(set.inputs.subarray(48));
    for (let row = 0; row < 4; row++) expect(epochs[0]).not.toContain(rowOf(held.inputs, row));
  });
  it("are a function of seed and step", () => {
    const options = { size: 3, seed: 2 };
    const one = new ExampleBatches(set, options);
    const other = new ExampleBatches(set, options);
    const forth = Array.from({ length: 15 }, (_, i) => one.training(i + 1));
    for (let step = 15; step >= 1; step--) expect(other.training(step)).toEqual(forth[step - 1]);
  });
  it("are the whole set, in its order, for a full batch", () => {
    const batches = new ExampleBatches(set, { size: 20, seed: 0 });
    expect(batches.fullBatch).toBe(true);
    expect(batches.training(7).inputs).toEqual(set.inputs);
  });
  it("refuse a batch larger than the set", () => {
    expect(() => new ExampleBatches(set, { size: 21, seed: 0 })).toThrow(
      failure("ERR_DATA", "21 examples") as Error,
    );
    expect(() => new ExampleBatches(set, { size: 2, seed: 0, validationFraction: 0.01 })).toThrow(
      failure("ERR_DATA", "validate") as Error,
    );
  });
});

describe("CIFAR-10 files", () => {
  const image = (label: number, [r, g, b]: [number, number, number]) =>
    Buffer.concat([Buffer.of(label), Buffer.alloc(1024, r), Buffer.alloc(1024, g), Buffer.alloc(1024, b)]);
  it("are labels and planes, each colour of mean 0 and deviation 1", async () => {
    const inside = temporaryFolder();
    put(inside, "1.bin", Buffer.concat([image(3, [0, 10, 255]), image(9, [200, 30, 255])]));
    put(inside, "2.bin", image(0, [100, 20, 255]));
    const { count, features, outputs, inputs, targets } = await loadCifar10([inside]);
    expect([count, features, outputs, Array.from(targets)]).toEqual([3, 3072, 10, [3, 9, 0]]);
    const at = (row: number) => [0, 1024, 2048].map((p) => inputs[row * 3072 + p] as number);
    const far = Math.sqrt(1.5);
    const known = [
      [-far, -far, 0],
      [far, far, 0],
      [0, 0, 0],
    ];
    for (let row = 0; row < 3; row++)
      for (let plane = 0; plane < 3; plane++)
        expect(at(row)[plane]).toBeCloseTo(known[row]?.[plane] as number, 5);
  });
  it("are refused where they are malformed", async () => {
    const cut = put(folder, "cut.bin", image(1, [0, 0, 0]).subarray(1));
    await expect(loadCifar10([cut])).rejects.toEqual(failure("ERR_DATA", "3072 bytes"));
    const label = put(folder, "label.bin", Buffer.concat([image(1, [0, 0, 0]), image(10, [0, 0, 0])]));
    await expect(loadCifar10([label])).rejects.toEqual(failure("ERR_DATA", "image 1 of"));
    await expect(loadCifar10([`${folder}/none`])).rejects.toEqual(failure("ERR_FILE", "none"));
  });
});
