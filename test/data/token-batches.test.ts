import { describe, expect, it } from "vitest";
import { TokenBatches, tokensInMemory } from "../../lib/data/index.js";
import { failure } from "./helpers.js";

const stream = tokensInMemory(
  "a row of tokens",
  Uint16Array.from({ length: 1000 }, (_, i) => i),
);
const options = { size: 4, sequence: 10, seed: 3, validationFraction: 0.2 };

describe("token batches", () => {
  it("shifts the labels by one", async () => {
    const { inputIds, labels, shape } = await new TokenBatches(stream, options).training(1);
    expect(shape).toEqual([4, 10]);
    expect(inputIds.length).toBe(40);
    // Token i of this stream is i: the label is the next number, also at the end of a row.
    expect(Array.from(labels)).toEqual(Array.from(inputIds, (id) => id + 1));
    for (let row = 0; row < 4; row++)
      for (let t = 0; t < 10; t++) expect(inputIds[row * 10 + t]).toBe((inputIds[row * 10] as number) + t);
  });
  it("gives the same batch for the same seed and step, in whatever order, and others otherwise", async () => {
    const one = new TokenBatches(stream, options);
    const all = await Promise.all([1, 2, 3].map((step) => one.training(step)));
    const other = new TokenBatches(stream, options);
    for (const step of [3, 1, 2]) expect(await other.training(step)).toEqual(all[step - 1]);
    expect(all[0]).not.toEqual(all[1]);
    const seeded = new TokenBatches(stream, { ...options, seed: 4 });
    expect(await seeded.training(1)).not.toEqual(all[0]);
  });
  it("keeps training and validation apart, and reaches every token but the last window's", async () => {
    const batches = new TokenBatches(stream, options);
    expect(batches.trainingTokens).toBe(800);
    const seen = new Set<number>();
    for (let step = 1; step <= 500; step++) {
      const { inputIds, labels } = await batches.training(step);
      for (const id of [...inputIds, ...labels]) seen.add(id);
    }
    expect(Math.min(...seen)).toBe(0);
    expect(Math.max(...seen)).toBe(799);
    expect(batches.validationBatches).toBe(5);
    const held: number[] = [];
    for (let i = 0; i < 5; i++) held.push(...(await batches.validation(i)).inputIds);
    expect(held).toEqual(Array.from({ length: 190 }, (_, i) => 800 + i));
    expect((await batches.validation(4)).shape).toEqual([3, 10]);
  });
  it("uses the one window of a stream that is just long enough", async () => {
    const short = tokensInMemory("short", Uint8Array.of(1, 2, 3));
    const { inputIds, labels } = await new TokenBatches(short, { size: 2, sequence: 2, seed: 0 }).training(9);
    expect([Array.from(inputIds), Array.from(labels)]).toEqual([
      [1, 2, 1, 2],
      [2, 3, 2, 3],
    ]);
  });
  it("refuses a sequence longer than the stream", () => {
    const make = (given: object) => () => new TokenBatches(stream, { ...options, ...given });
    expect(make({ sequence: 800 })).toThrow(failure("ERR_DATA", "801 tokens to train on") as Error);
    expect(make({ sequence: 300 })).toThrow(failure("ERR_DATA", "301 tokens to validate on") as Error);
    expect(make({ size: 0 })).toThrow(failure("ERR_OUT_OF_RANGE", "options.size") as Error);
    expect(make({ validationFraction: 1 })).toThrow(
      failure("ERR_OUT_OF_RANGE", "options.validationFraction") as Error,
    );
  });
});

describe("epochs", () => {
  const epochs = { size: 4, sequence: 10, seed: 3, sampling: "epochs" } as const;

  it("take every sequence once before any is taken again, in an order of their own", async () => {
    const batches = new TokenBatches(stream, epochs);
    // 99 sequences of 10 tokens, whose last label is token 990.
    expect(batches.trainingBatches).toBe(24);
    const first: number[] = [];
    for (let step = 1; step <= 99; step++) {
      const { inputIds, labels } = await batches.training(step);
      expect(Array.from(labels)).toEqual(Array.from(inputIds, (id) => id + 1));
      for (let row = 0; row < 4; row++) first.push(inputIds[row * 10] as number);
    }
    const all = Array.from({ length: 99 }, (_, i) => 10 * i);
    const orders = [0, 1, 2, 3].map((epoch) => first.slice(99 * epoch, 99 * (epoch + 1)));
    for (const order of orders) expect([...order].sort((a, b) => a - b)).toEqual(all);
    expect(new Set(orders.map(String)).size).toBe(4);
    expect(orders[0]).not.toEqual(all);
  });

  it("are the same for the same seed, from any step on", async () => {
    const one = new TokenBatches(stream, epochs);
    const later = await one.training(60);
    await one.training(1);
    expect(await one.training(60)).toEqual(later);
    expect(await new TokenBatches(stream, epochs).training(60)).toEqual(later);
    expect(await new TokenBatches(stream, { ...epochs, seed: 4 }).training(60)).not.toEqual(later);
  });
});

describe("documents apart", () => {
  // Documents of 7, 1, 4 and 3 tokens.
  const documents = [7, 8, 12, 15];
  const apart = tokensInMemory(
    "four documents",
    Uint8Array.from({ length: 15 }, (_, i) => i),
    15,
    documents,
  );
  const options = { size: 1, sequence: 4, seed: 1, documents: "apart" } as const;

  it("sequences end with their document, and the rest counts for nothing", async () => {
    const batches = new TokenBatches(apart, options);
    expect(batches.trainingBatches).toBe(4);
    const rows: string[] = [];
    for (let step = 1; step <= 4; step++) {
      const { inputIds, labels } = await batches.training(step);
      rows.push(`${inputIds} | ${labels}`);
    }
    expect(rows.sort()).toEqual([
      "0,1,2,3 | 1,2,3,4",
      "12,13,0,0 | 13,14,-100,-100",
      "4,5,0,0 | 5,6,-100,-100",
      "8,9,10,0 | 9,10,11,-100",
    ]);
  });

  it("validation has whole documents that training has not", async () => {
    const batches = new TokenBatches(apart, { ...options, size: 9, validationFraction: 0.3 });
    const held = await batches.validation(0);
    expect(held.shape).toEqual([2, 4]);
    expect(String(held.inputIds)).toBe("8,9,10,0,12,13,0,0");
    expect(Math.max(...(await batches.training(1)).labels)).toBe(6);
  });
});
