import { describe, expect, test } from "vitest";
import { findCriticalLearningRate } from "../../lib/search/index.js";
import { powerLine } from "./lines.js";

const methods = ["interpolated", "bisection"] as const;

describe.each(methods)("%s", (method) => {
  test("a quadratic: ηc = 2s/ΔᵀHΔ, whatever the start", async () => {
    const slope = 3;
    const curvature = 40;
    for (const initialLearningRate of [1e-6, 1e-3, 0.149, 0.15, 0.1501, 2, 1e4]) {
      const result = await findCriticalLearningRate((eta) => 1 - slope * eta + (curvature / 2) * eta * eta, {
        method,
        slope,
        baseLoss: 1,
        initialLearningRate,
        tolerance: 1e-3,
      });
      expect(result.status).toBe("converged");
      expect(result.firstCrossing).toBe("probed");
      expect(Math.abs(result.criticalLearningRate / ((2 * slope) / curvature) - 1)).toBeLessThan(1e-3);
      expect(result.criticalSharpness).toBeCloseTo(curvature / slope, 1);
    }
  });

  test("a cubic ψ: the smallest of its known roots", async () => {
    // ψ(η) = (η − 0.02)(η − 0.5)(η − 3), so L(η) = η·ψ(η) and s = −ψ(0) = 0.03.
    const result = await findCriticalLearningRate((eta) => eta * (eta - 0.02) * (eta - 0.5) * (eta - 3), {
      method,
      slope: 0.03,
      initialLearningRate: 0.01,
      tolerance: 1e-4,
    });
    expect(Math.abs(result.criticalLearningRate / 0.02 - 1)).toBeLessThan(1e-4);
    expect(result.baseLoss).toBeCloseTo(0, 15);
    expect(result.forwardPasses).toBe(result.evaluations.length + 1);
  });

  test("a tie is no increase, a loss that is not finite is one", async () => {
    const tie = await findCriticalLearningRate((eta) => (eta <= 0.25 ? 1 : 2), { method, tolerance: 1e-3 });
    expect(tie.lower).toBeLessThanOrEqual(0.25);
    expect(tie.upper).toBeGreaterThan(0.25);
    for (const beyond of [Number.NaN, Infinity, -Infinity]) {
      const cliff = await findCriticalLearningRate((eta) => (eta <= 0.25 ? 1 - eta : beyond), {
        method,
        slope: 1,
        tolerance: 1e-3,
      });
      expect(cliff.status).toBe("converged");
      expect(cliff.lower).toBeLessThanOrEqual(0.25);
      expect(cliff.upper).toBeGreaterThan(0.25);
    }
  });

  test("s = 0 says nothing: found by looking, as without a slope", async () => {
    const lines: [(eta: number) => number, string][] = [
      [(eta) => 0.5 + eta, "non-descent"],
      // Where the rise is lost in the rounding of 0.5 it may as well be a fall.
      [(eta) => 0.5 + eta ** 2, "unresolved"],
      [(eta) => 0.5 - eta ** 2 + eta ** 4, "converged"],
      [(eta) => 0.5 - eta ** 2, "unbounded"],
      [() => 0.5, "unbounded"],
    ];
    for (const [line, status] of lines) {
      const looked = await findCriticalLearningRate(line, { method });
      expect(looked.status).toBe(status);
      for (const slope of [0, -0])
        expect(await findCriticalLearningRate(line, { method, slope })).toEqual({ ...looked, slope });
    }
  });

  test("s > 0 and a rise at every learning rate down to the cap: the limit", async () => {
    const line = (eta: number) => 1 - 1e150 * eta + 1e300 * eta ** 2;
    const result = await findCriticalLearningRate(line, { method, slope: 1e150 });
    expect(result).toMatchObject({
      status: "unresolved",
      reason: "limit",
      lower: 0,
      criticalLearningRate: NaN,
    });
    const found = await findCriticalLearningRate(line, {
      method,
      slope: 1e150,
      maximumDoublings: 300,
      initialLearningRate: 1e-100,
    });
    expect(Math.abs(found.criticalLearningRate / 1e-150 - 1)).toBeLessThan(1 / 16);
  });

  test("s < 0: no evaluation", async () => {
    for (const slope of [-1e-12, -5]) {
      let calls = 0;
      const result = await findCriticalLearningRate(() => ++calls, { method, slope });
      expect(calls).toBe(0);
      expect(result).toEqual({
        criticalLearningRate: 0,
        criticalSharpness: Infinity,
        lower: 0,
        upper: 0,
        status: "non-descent",
        reason: null,
        noise: null,
        error: null,
        estimate: null,
        firstCrossing: "probed",
        slope,
        baseLoss: null,
        evaluations: [],
        forwardPasses: 0,
      });
    }
  });

  test("non-descent without a slope, after halving to the cap", async () => {
    const result = await findCriticalLearningRate((eta) => eta, { method, initialLearningRate: 1 });
    expect(result.status).toBe("non-descent");
    expect(result.upper / 2 ** -40).toBeCloseTo(1, 9);
    expect(result.criticalSharpness).toBe(Infinity);
  });

  test("unbounded: what was proven is the lower end", async () => {
    const result = await findCriticalLearningRate((eta) => -eta, {
      method,
      initialLearningRate: 1,
      slope: 1,
    });
    expect(result.status).toBe("unbounded");
    expect(result.criticalLearningRate).toBe(Infinity);
    expect(result.criticalSharpness).toBe(0);
    expect(result.lower / 2 ** 40).toBeCloseTo(1, 9);
    expect(result.upper).toBe(Infinity);
  });
});

test("bisection is the paper's: doubles or halves, then takes the middle", async () => {
  const line = powerLine(0.37, 1, 1);
  const up = await findCriticalLearningRate(line.loss, {
    method: "bisection",
    baseLoss: 0.5,
    initialLearningRate: 0.1,
    firstCrossing: false,
  });
  const visited = up.evaluations.map((e) => Math.round(e.learningRate * 1e6) / 1e6);
  expect(visited).toEqual([0.1, 0.2, 0.4, 0.3, 0.35, 0.375, 0.3625]);
  const down = await findCriticalLearningRate(line.loss, {
    method: "bisection",
    baseLoss: 0.5,
    initialLearningRate: 1,
    firstCrossing: false,
  });
  expect(down.evaluations.map((e) => e.learningRate)).toEqual([
    1, 0.5, 0.25, 0.375, 0.3125, 0.34375, 0.359375,
  ]);
});

test("few evaluations: two from a good start on a quadratic, superlinear at fine tolerances", async () => {
  const line = powerLine(0.1, 5, 1);
  const count = async (initialLearningRate: number, tolerance: number, l = line) =>
    (
      await findCriticalLearningRate(l.loss, {
        baseLoss: 0.5,
        slope: l.slope,
        initialLearningRate,
        tolerance,
        firstCrossing: false,
      })
    ).evaluations.length;
  expect(await count(0.1, 1 / 16)).toBe(2);
  expect(await count(0.098, 1 / 16)).toBe(2);
  expect(await count(0.05, 1 / 16)).toBe(3);
  expect(await count(0.3, 1 / 16)).toBe(3);
  for (const exponent of [0.5, 1, 2, 3]) {
    const l = powerLine(0.1, 5, exponent);
    for (const start of [0.03, 0.09, 0.1, 0.15, 0.5]) {
      expect(await count(start, 1e-3, l)).toBeLessThanOrEqual(12);
      expect(await count(start, 1e-6, l)).toBeLessThanOrEqual(14);
    }
  }
});
