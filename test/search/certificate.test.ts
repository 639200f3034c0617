import fc from "fast-check";
import { expect, test } from "vitest";
import { findCriticalLearningRate, type SearchResult, type SearchStatus } from "../../lib/search/index.js";
import { anyLine, baseLoss, type TestLine } from "./lines.js";

const settings = fc.record({
  method: fc.constantFrom("interpolated" as const, "bisection" as const),
  tolerance: fc.constantFrom(1 / 16, 1e-3, 0.5, 1e-6, 1e-9),
  initialLearningRate: fc.double({ min: -9, max: 6, noNaN: true }).map((e) => 10 ** e),
  maximumDoublings: fc.constantFrom(40, 3, 1, 100),
  known: fc.boolean(),
  firstCrossing: fc.constantFrom(true, false, { near: 1e-2 }),
});

function increased(line: TestLine, eta: number): boolean {
  const loss = line.loss(eta);
  return !(Number.isFinite(loss) && loss <= baseLoss);
}

/** Most evaluations of one search, without probing: steps out (or in), then the narrowing. */
function bound(method: string, tolerance: number, doublings: number): number {
  const width = -Math.log1p(-tolerance);
  const reach = 2 * doublings * Math.LN2;
  if (method === "bisection") return 2 + doublings + Math.ceil(Math.log2(1 / tolerance)) + 1;
  const out = 5 + Math.ceil(Math.log2(16 / Math.min(1, width)) / 2) + Math.ceil(reach / Math.log(16));
  return out + Math.ceil(Math.log2(Math.log(64) / width)) + 4;
}

test("the certificate holds on any function, for both methods", async () => {
  const seen = new Set<SearchStatus>();
  await fc.assert(
    fc.asyncProperty(anyLine, settings, async (line, { known, ...options }) => {
      const calls: number[] = [];
      const result: SearchResult = await findCriticalLearningRate(
        (eta) => {
          calls.push(eta);
          return eta === 0 ? baseLoss : line.loss(eta);
        },
        { ...options, lossNoise: 0, ...(known ? { baseLoss, slope: line.slope } : {}) },
      );
      seen.add(result.status);
      const { lower, upper, status, criticalLearningRate: critical, criticalSharpness, evaluations } = result;
      for (const value of [lower, upper]) expect(value).not.toBeNaN();
      expect(Number.isNaN(critical)).toBe(status === "unresolved");
      expect(Number.isNaN(criticalSharpness)).toBe(status === "unresolved");
      expect(result.reason).toBe(status === "unresolved" ? "limit" : null);
      expect(result.noise).toBeNull();
      expect(result.forwardPasses).toBe(calls.length);
      expect(evaluations.map((e) => e.learningRate)).toEqual(calls.filter((eta) => eta !== 0));
      expect(evaluations.every((e) => e.learningRate > 0 && Number.isFinite(e.learningRate))).toBe(true);
      expect(criticalSharpness).toBe(2 / critical);
      if (lower > 0) expect(increased(line, lower)).toBe(false);
      if (upper > 0 && upper < Infinity) expect(increased(line, upper)).toBe(true);
      if (status === "converged") {
        expect(1 - lower / upper).toBeLessThanOrEqual(options.tolerance);
        expect(critical).toBeGreaterThanOrEqual(lower);
        expect(critical).toBeLessThanOrEqual(upper);
        // It is the first crossing of all that was seen.
        for (const { learningRate } of evaluations)
          if (learningRate < upper) expect(increased(line, learningRate)).toBe(false);
        if (result.firstCrossing === "probed") {
          const near = (wanted: number) =>
            evaluations.some(
              ({ learningRate: at }) => Math.abs(Math.log(at / wanted)) <= Math.log(1.2) + 1e-9,
            );
          expect(near(lower / 4)).toBe(true);
          expect(near(lower / 16)).toBe(true);
        }
      } else if (status === "unbounded") {
        expect(critical).toBe(Infinity);
        expect(lower).toBeGreaterThanOrEqual(
          options.initialLearningRate * 2 ** options.maximumDoublings * (1 - 1e-9),
        );
      } else {
        // Δ that is known to descend has a crossing, if only below the cap.
        if (status === "unresolved") expect(known).toBe(true);
        else {
          expect(critical).toBe(0);
          expect(known).toBe(false);
        }
        expect(upper).toBeLessThanOrEqual(
          options.initialLearningRate * 2 ** -options.maximumDoublings * (1 + 1e-9),
        );
      }
      if (options.firstCrossing === false)
        expect(evaluations.length).toBeLessThanOrEqual(
          bound(options.method, options.tolerance, options.maximumDoublings),
        );
    }),
    { numRuns: 3000 },
  );
  expect([...seen].sort()).toEqual(["converged", "non-descent", "unbounded", "unresolved"]);
});

test("the same call gives the same result", async () => {
  await fc.assert(
    fc.asyncProperty(anyLine, settings, async (line, { known, ...options }) => {
      const run = () =>
        findCriticalLearningRate((eta) => (eta === 0 ? baseLoss : line.loss(eta)), {
          ...options,
          ...(known ? { baseLoss, slope: line.slope } : {}),
        });
      expect(await run()).toEqual(await run());
    }),
    { numRuns: 200 },
  );
});
