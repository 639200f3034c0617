import { expect, test } from "vitest";
import { findCriticalLearningRate, type SearchOptions, type SearchResult } from "../../lib/search/index.js";

/** Uniform in (0, 1), from a seed. */
function uniform(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (((t ^ (t >>> 14)) >>> 0) + 0.5) / 4294967296;
  };
}

const count = 300;

interface NoisySearch {
  result: SearchResult;
  critical: number;
}

/** Quadratics L = 3 − sη(1 − η/ηc) with normal noise of `relative`·s·ηc, each searched from within 4× of its ηc. */
async function quadratics(
  relative: number,
  options: SearchOptions & { misjudged?: number; slopeIsKnown?: boolean; sign?: number },
): Promise<NoisySearch[]> {
  const { misjudged = 1, slopeIsKnown = true, sign = 1, ...search } = options;
  const found: NoisySearch[] = [];
  for (let i = 0; i < count; i++) {
    const draw = uniform(i * 7919 + 1);
    const normal = () => Math.sqrt(-2 * Math.log(draw())) * Math.cos(2 * Math.PI * draw());
    const critical = 10 ** (-2 + 3 * draw());
    const slope = 10 ** (-2 + 4 * draw());
    const lossNoise = relative * slope * critical;
    const losses = new Map<number, number>();
    const lossAt = (eta: number) => {
      const loss = losses.get(eta) ?? 3 + slope * eta * (eta / critical - sign) + lossNoise * normal();
      losses.set(eta, loss);
      return loss;
    };
    const result = await findCriticalLearningRate(lossAt, {
      ...search,
      ...(slopeIsKnown ? { slope } : {}),
      initialLearningRate: critical * 2 ** (4 * draw() - 2),
      lossNoise: lossNoise * misjudged,
    });
    found.push({ result, critical });
  }
  return found;
}

const withStatus = (all: readonly NoisySearch[], status: string) =>
  all.filter(({ result }) => result.status === status);

function farOff(all: readonly NoisySearch[], factor: number): number {
  return withStatus(all, "converged").filter(
    ({ result, critical }) => Math.abs(Math.log(result.criticalLearningRate / critical)) > Math.log(factor),
  ).length;
}

/** Root mean square of the error in units of what the result says of it. */
function errorOverNoise(all: readonly NoisySearch[]): number {
  const squares = withStatus(all, "converged").map(
    ({ result, critical }) =>
      (Math.log(result.criticalLearningRate / critical) / (result.noise as number)) ** 2,
  );
  return Math.sqrt(squares.reduce((a, b) => a + b, 0) / squares.length);
}

test.each([
  [0.005, "interpolated"],
  [0.05, "interpolated"],
  [0.5, "interpolated"],
  [0.005, "bisection"],
  [0.05, "bisection"],
  [0.5, "bisection"],
] as const)("noise of %f·s·ηc, %s: no answer that is confidently wrong", async (relative, method) => {
  const all = await quadratics(relative, { method });
  expect(withStatus(all, "non-descent")).toEqual([]);
  expect(farOff(all, 2)).toBeLessThanOrEqual(count / 100);
  expect(farOff(all, 1.3)).toBeLessThanOrEqual(count / 20);
  const unresolved = withStatus(all, "unresolved");
  for (const { result } of unresolved) {
    expect(result.reason).toBe("noise");
    expect(result.criticalLearningRate).toBeNaN();
    expect(result.criticalSharpness).toBeNaN();
  }
  // √2 · 0.5 % and 5 % leave an answer, √2 · 50 % does not.
  expect(unresolved.length).toBe(relative > 0.1 ? count : 0);
  if (method === "bisection") return;
  const evaluations = all.map(({ result }) => result.evaluations.length).sort((a, b) => a - b);
  expect(evaluations[count >> 1]).toBeLessThanOrEqual(6);
  expect(evaluations.at(-1)).toBeLessThanOrEqual(14);
});

test.each([0.005, 0.05])(
  "noise of %f·s·ηc: `noise` is the error's size within a factor of 2",
  async (relative) => {
    for (const tolerance of [1 / 16, 1e-3]) {
      const ratio = errorOverNoise(await quadratics(relative, { tolerance, initialError: 1 }));
      expect(ratio).toBeGreaterThan(0.5);
      // A bracket as wide as the tolerance adds to the error, which is no noise.
      expect(ratio).toBeLessThan(relative < 0.01 && tolerance > 0.01 ? 4 : 2);
    }
  },
);

test("noise that is misjudged by a factor of 2 does little harm", async () => {
  for (const misjudged of [0.5, 2])
    for (const relative of [0.005, 0.05, 0.5]) {
      const all = await quadratics(relative, { misjudged });
      expect(withStatus(all, "non-descent")).toEqual([]);
      expect(farOff(all, 2)).toBeLessThanOrEqual(count / 100);
      expect(farOff(all, 1.3)).toBeLessThanOrEqual(count / 12);
    }
});

test("without a slope: a crossing in the noise is unresolved, never Δ that does not descend", async () => {
  for (const relative of [0.005, 0.05, 0.5]) {
    const all = await quadratics(relative, { slopeIsKnown: false });
    expect(withStatus(all, "non-descent")).toEqual([]);
    expect(farOff(all, 2)).toBeLessThanOrEqual(count / 100);
  }
});

test("without a slope: a line that rises from 0 on is told by its rises above the noise", async () => {
  const all = await quadratics(1e-4, { slopeIsKnown: false, sign: -1 });
  expect(withStatus(all, "converged")).toEqual([]);
  // The others stopped with too few rises above the noise to tell.
  expect(withStatus(all, "non-descent").length + withStatus(all, "unresolved").length).toBe(count);
  expect(withStatus(all, "non-descent").length).toBeGreaterThan(count / 2);
});

test("pure noise is unresolved or has no rise, whatever is asked", async () => {
  for (let i = 0; i < count; i++) {
    const draw = uniform(i);
    const normal = () => Math.sqrt(-2 * Math.log(draw())) * Math.cos(2 * Math.PI * draw());
    const lossAt = (eta: number) => (eta === 0 ? 1 : 1 + 1e-3 * normal());
    const { status, reason } = await findCriticalLearningRate(lossAt, {
      lossNoise: 1e-3,
      method: i % 2 ? "bisection" : "interpolated",
      ...(i % 3 ? { slope: 1e-30, slopeNoise: i % 3 === 1 ? 0 : 1 } : {}),
    });
    expect(["unresolved", "unbounded"]).toContain(status);
    if (status === "unresolved") expect(reason).toBe("noise");
  }
});

test("a slope within its noise says nothing: the search looks", async () => {
  const lossAt = (eta: number) => 1 - eta + eta * eta;
  for (const slope of [1e-3, -1e-3]) {
    const result = await findCriticalLearningRate(lossAt, {
      slope,
      slopeNoise: 1e-3,
      initialLearningRate: 0.5,
    });
    expect(result.status).toBe("converged");
    expect(Math.abs(result.criticalLearningRate - 1)).toBeLessThan(1 / 16);
    expect(result.slope).toBe(slope);
  }
  expect((await findCriticalLearningRate(lossAt, { slope: -1e-3, slopeNoise: 2e-4 })).status).toBe(
    "non-descent",
  );
});

test("what was learnt of other lines never makes a line unresolved that has little noise", async () => {
  for (const inverseExponent of [0.1, 1, 8]) {
    const result = await findCriticalLearningRate((eta) => 3 - 6 * eta + 4000 * eta ** 1.5, {
      slope: 6,
      lossNoise: 1e-7,
      initialLearningRate: 0.024,
      initialError: 0.1,
      shape: { inverseExponent, bend: 0, deviation: 0.02 },
    });
    expect(result.status).toBe("converged");
    expect(Math.abs(Math.log(result.criticalLearningRate / (6 / 4000) ** 2))).toBeLessThan(0.065);
  }
});
