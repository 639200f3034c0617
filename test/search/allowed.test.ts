import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  findAllowedLearningRate,
  findCriticalLearningRate,
  type SearchResult,
} from "../../lib/search/index.js";

const base = 0.5;
const quadratic = (slope: number, curvature: number) => (eta: number) =>
  base - slope * eta + (curvature * eta * eta) / 2;

/** η at which a quadratic is above L(0) by a part of it. */
function exact(slope: number, curvature: number, allow: number): number {
  const root = Math.sqrt(slope * slope + 2 * curvature * allow * base);
  return slope > 0 ? (slope + root) / curvature : (2 * allow * base) / (root - slope);
}

/** Both searches, the second from the evaluations of the first. */
async function both(loss: (eta: number) => number, allow: number, options: object = {}) {
  let passes = 0;
  const lossAt = (eta: number) => {
    passes++;
    return loss(eta);
  };
  const found: SearchResult = await findCriticalLearningRate(lossAt, { baseLoss: base, ...options });
  const before = passes;
  const { evaluations, status: _, ...rest } = found;
  const { allowed, evaluations: own } = await findAllowedLearningRate(lossAt, {
    allow,
    baseLoss: base,
    evaluations,
    slope: rest.slope ?? undefined,
  });
  expect(own).toHaveLength(passes - before);
  return { found, allowed, passes: passes - before };
}

describe("the largest step within a budget", () => {
  it("of quadratics, falling and rising ones, to well within the tolerance", async () => {
    const passes: number[] = [];
    const size = fc.double({ min: -4, max: 4, noNaN: true }).map((e) => 10 ** e);
    const signed = fc.tuple(size, fc.constantFrom(-1, 0, 1)).map(([s, sign]) => s * sign);
    const allow = fc.constantFrom(0.001, 0.01, 0.1, 1);
    await fc.assert(
      fc.asyncProperty(signed, size, allow, async (slope, curvature, part) => {
        const ended = await both(quadratic(slope, curvature), part, { slope });
        passes.push(ended.passes);
        const { status, learningRate, lower, upper } = ended.allowed;
        expect(status).toBe("converged");
        const at = exact(slope, curvature, part);
        expect(lower).toBeLessThanOrEqual(at * (1 + 1e-9));
        expect(upper).toBeGreaterThanOrEqual(at * (1 - 1e-9));
        expect(1 - lower / (upper as number)).toBeLessThanOrEqual(1 / 16);
        expect(Math.abs((learningRate as number) / at - 1)).toBeLessThan(0.01);
      }),
      { numRuns: 400, seed: 1 },
    );
    const mean = passes.reduce((a, b) => a + b, 0) / passes.length;
    expect(mean).toBeLessThan(9);
  });

  it("is at least ηc, and its first crossing as a dense scan finds it", async () => {
    const waves = (eta: number) => base - 0.3 * eta + 0.1 * eta ** 2 + 0.02 * Math.sin(5 * eta);
    const { found, allowed } = await both(waves, 0.05, { slope: 0.2 });
    let scanned = 0;
    while (waves(scanned) <= base * 1.05) scanned += 1e-4;
    expect(allowed.learningRate as number).toBeGreaterThanOrEqual(found.criticalLearningRate);
    expect(Math.abs((allowed.learningRate as number) / scanned - 1)).toBeLessThan(1 / 16);
  });

  it("where the loss ends: the largest that was seen within", async () => {
    const { allowed } = await both((eta) => (eta < 3 ? base - 0.01 * eta : NaN), 0.01, { slope: 0.01 });
    expect(allowed.status).toBe("converged");
    expect(allowed.learningRate).toBe(allowed.lower);
    expect(allowed.lower).toBeLessThan(3);
    expect(allowed.upper).toBeGreaterThanOrEqual(3);
  });

  it("is none of a flat line, of one that falls, and of one that rises by less", async () => {
    for (const loss of [
      () => base,
      (eta: number) => base - Math.tanh(eta),
      (eta: number) => base * (1 + 0.009 * Math.tanh(eta)),
    ]) {
      const { allowed } = await both(loss, 0.01);
      expect(allowed).toMatchObject({ status: "unbounded", learningRate: null, upper: null });
    }
  });

  it("is unresolved where noise is larger than the budget, and tells the noise where it is not", async () => {
    const lossAt = quadratic(0, 1);
    const search = (lossNoise: number) =>
      findAllowedLearningRate(lossAt, { allow: 0.01, baseLoss: base, lossNoise });
    const far = await search(1e-3);
    expect(far.allowed).toMatchObject({ status: "unresolved", learningRate: null, noise: null });
    expect(far.evaluations).toEqual([]);
    expect((await search(6e-4)).allowed).toMatchObject({ status: "unresolved", learningRate: null });
    const near = (await search(1e-5)).allowed;
    expect(near.status).toBe("converged");
    // √2·σ over the rise that one ln η makes: 2·0.005; the chord's is half of that.
    expect(near.noise).toBeCloseTo((Math.SQRT2 * 1e-5) / 0.005, 4);
  });

  it("never calls a flat line of noise alone bounded", async () => {
    for (let seed = 0; seed < 200; seed++) {
      const noise = (eta: number) => {
        const x = Math.sin((eta + seed + 1) * 12.9898) * 43758.5453;
        return base + 1e-3 * (x - Math.floor(x) - 0.5);
      };
      const options = { allow: 0.02, baseLoss: base, lossNoise: 3e-4 };
      expect((await findAllowedLearningRate(noise, options)).allowed.status).toBe("unbounded");
    }
  });

  it("refuses losses of which there is no part, and bad options", async () => {
    for (const loss of [0, -0.3])
      await expect(findAllowedLearningRate(() => loss, { allow: 0.01 })).rejects.toMatchObject({
        code: "ERR_ALLOWED_LOSS",
      });
    await expect(findAllowedLearningRate(() => NaN, { allow: 0.01 })).rejects.toMatchObject({
      code: "ERR_NON_FINITE_LOSS",
    });
    await expect(findAllowedLearningRate(() => 1, { allow: 0 })).rejects.toThrow("options.allow");
  });
});
