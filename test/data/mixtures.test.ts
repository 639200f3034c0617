import { describe, expect, it } from "vitest";
import {
  dolminoShares,
  MixtureBatches,
  normalizedShares,
  type TokenBatch,
  tokensInMemory,
  varyShare,
} from "../../lib/data/index.js";
import { failure } from "./helpers.js";

const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);

describe("shares", () => {
  it("vary one source while the others keep their proportions", () => {
    const varied = varyShare({ web: 1, code: 3, math: 1 }, "web", 0.6);
    expect(varied.web).toBe(0.6);
    expect(varied.code).toBeCloseTo(0.3, 14);
    expect(varied.math).toBeCloseTo(0.1, 14);
    expect(varyShare({ a: 1, b: 1 }, "a", 1)).toEqual({ a: 1, b: 0 });
    expect(varyShare({ a: 0, b: 2 }, "a", 0.25)).toEqual({ a: 0.25, b: 0.75 });
  });
  it("have the mix of the paper's Table 1 as a preset", () => {
    const shares = normalizedShares(dolminoShares);
    expect(sum(Object.values(shares))).toBeCloseTo(1, 14);
    const varied = varyShare(dolminoShares, "dclm", 0.6);
    expect(sum(Object.values(varied))).toBeCloseTo(1, 14);
    expect(varied.math / varied.wikipedia).toBeCloseTo(20.8 / 7.11, 12);
  });
  it("refuses what is no mixture", () => {
    expect(() => normalizedShares({ a: -1, b: 2 })).toThrow(failure("ERR_OUT_OF_RANGE", "shares.a") as Error);
    expect(() => normalizedShares({ a: 0 })).toThrow(failure("ERR_OUT_OF_RANGE", "shares") as Error);
    expect(() => varyShare({ a: 1 }, "a", 0.5)).toThrow(
      failure("ERR_OUT_OF_RANGE", "another source") as Error,
    );
    expect(() => varyShare({ a: 1, b: 1 }, "c" as "a", 0.5)).toThrow(
      failure("ERR_OUT_OF_RANGE", "source") as Error,
    );
    expect(() => varyShare({ a: 1, b: 1 }, "a", 1.1)).toThrow(failure("ERR_OUT_OF_RANGE", "ratio") as Error);
  });
});

/** Every token of a source is its number, and its place is in the token: source·1000 + place. */
const source = (number: number, length: number, documents?: number[]) =>
  tokensInMemory(
    `source ${number}`,
    Uint16Array.from({ length }, (_, i) => number * 1000 + i),
    undefined,
    documents,
  );
const sources = { a: source(1, 401), b: source(2, 121), c: source(3, 81) };
const options = { size: 5, sequence: 10, seed: 7 };
const firsts = ({ inputIds, shape: [size, sequence] }: TokenBatch) =>
  Array.from({ length: size }, (_, row) => inputIds[row * sequence] as number);

describe("mixture batches", () => {
  const shares = { a: 0.62, b: 0.3, c: 0.08 };
  it("takes its share of tokens from each source, at any moment", async () => {
    const mixture = new MixtureBatches(sources, shares, options);
    const taken = { 1: 0, 2: 0, 3: 0 };
    for (let step = 1; step <= 40; step++) {
      for (const first of firsts(await mixture.training(step))) taken[Math.floor(first / 1000) as 1]++;
      for (const [i, share] of Object.values(shares).entries())
        expect(Math.abs(taken[(i + 1) as 1] - share * step * 5)).toBeLessThanOrEqual(1);
    }
    expect(mixture.tokensAfter(40)).toEqual({ a: taken[1] * 10, b: taken[2] * 10, c: taken[3] * 10 });
  });
  it("takes each sequence once before any is taken again", async () => {
    const mixture = new MixtureBatches(sources, shares, options);
    const seen: number[] = [];
    for (let step = 1; step <= 12; step++) seen.push(...firsts(await mixture.training(step)));
    for (const number of [1, 2, 3]) {
      const own = seen.filter((first) => Math.floor(first / 1000) === number);
      const epoch = own.slice(0, [40, 12, 8][number - 1]);
      expect(new Set(epoch).size).toBe(epoch.length);
    }
  });
  it("gives the same batch for the same seed and step, in whatever order, and others otherwise", async () => {
    const one = new MixtureBatches(sources, shares, options);
    const all = [];
    for (const step of [1, 2, 3, 4]) all.push(await one.training(step));
    const other = new MixtureBatches(sources, shares, options);
    for (const step of [3, 1, 4, 2]) expect(await other.training(step)).toEqual(all[step - 1]);
    const seeded = new MixtureBatches(sources, shares, { ...options, seed: 8 });
    expect(await seeded.training(1)).not.toEqual(all[0]);
  });
  it("counts tokens, not sequences, of documents apart", async () => {
    const short = source(
      1,
      400,
      Array.from({ length: 80 }, (_, i) => 5 * (i + 1)),
    );
    const long = source(
      2,
      440,
      Array.from({ length: 40 }, (_, i) => 11 * (i + 1)),
    );
    const mixture = new MixtureBatches(
      { short, long },
      { short: 1, long: 1 },
      { ...options, documents: "apart" },
    );
    let [one, two] = [0, 0];
    for (let step = 1; step <= 20; step++) {
      const { inputIds, labels } = await mixture.training(step);
      for (const [i, label] of labels.entries())
        if (label !== -100) (inputIds[i] as number) < 2000 ? one++ : two++;
    }
    expect(Math.abs(one - two)).toBeLessThanOrEqual(10);
    expect(mixture.tokensAfter(20)).toEqual({ short: one, long: two });
  });
  it("leaves out a source without a share, and refuses sources without one", async () => {
    const only = new MixtureBatches(sources, { a: 1, b: 0, c: 0 }, options);
    expect(firsts(await only.training(1)).every((first) => first < 2000)).toBe(true);
    const make = (given: unknown) => () => new MixtureBatches(sources, given as typeof shares, options);
    expect(make({ a: 1, b: 1 })).toThrow(failure("ERR_OUT_OF_RANGE", 'a share of "c"') as Error);
    expect(make({ ...shares, d: 1 })).toThrow(failure("ERR_OUT_OF_RANGE", "shares of sources") as Error);
  });
});
