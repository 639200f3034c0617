import fc from "fast-check";
import { expect, test } from "vitest";
import { findCriticalLearningRate } from "../../lib/search/index.js";

/** A loss that falls but for bumps, each above the base loss from `from` to `to`; beyond the last it rises for good. */
function bumpy(bumps: readonly { from: number; to: number }[], end: number): (eta: number) => number {
  return (eta) => {
    if (eta === 0) return 1;
    if (eta > end) return 1 + (eta - end);
    const bump = bumps.find(({ from, to }) => eta > from && eta < to);
    return bump ? 1.001 : 1 - 0.5 * Math.min(1, eta / end);
  };
}

function firstByScan(loss: (eta: number) => number, from: number, to: number): number {
  const steps = 20_000;
  for (let i = 0; i <= steps; i++) {
    const eta = from * (to / from) ** (i / steps);
    if (loss(eta) > loss(0)) return eta;
  }
  return Infinity;
}

// Probing at lower/4 and lower/16 cannot miss a bump that spans a factor of 4 within a factor of 16 below the answer.
const scene = fc
  .record({
    first: fc.double({ min: -4, max: -1, noNaN: true }),
    span: fc.double({ min: Math.log10(4.5), max: 0.9, noNaN: true }),
    gap: fc.double({ min: 0.05, max: 0.25, noNaN: true }),
    start: fc.double({ min: -6, max: 3, noNaN: true }),
    method: fc.constantFrom("interpolated" as const, "bisection" as const),
    known: fc.boolean(),
  })
  .map(({ first, span, gap, start, method, known }) => {
    const bump = { from: 10 ** first, to: 10 ** (first + span) };
    return { loss: bumpy([bump], bump.to * 10 ** gap), start: 10 ** start, bump, method, known };
  });

test("a probed first crossing is the one that a dense scan finds", async () => {
  await fc.assert(
    fc.asyncProperty(scene, async ({ loss, start, bump, method, known }) => {
      const result = await findCriticalLearningRate(loss, {
        method,
        initialLearningRate: start,
        tolerance: 1e-3,
        ...(known ? { slope: 0.5 } : {}),
      });
      expect(result.status).toBe("converged");
      expect(result.firstCrossing).toBe("probed");
      const scanned = firstByScan(loss, bump.from / 100, bump.to * 10);
      expect(Math.abs(result.criticalLearningRate / scanned - 1)).toBeLessThan(3e-3);
    }),
    { numRuns: 1000 },
  );
});

/** As a GPT at initialisation: crosses at 0.0058 and, for good, at 0.30. */
const twice = bumpy([{ from: 0.0058, to: 0.08 }], 0.3);

test("without probing, a start above the first crossing finds a later one and says so", async () => {
  for (const method of ["interpolated", "bisection"] as const) {
    const options = { method, slope: 1, initialLearningRate: 0.2 };
    const later = await findCriticalLearningRate(twice, { ...options, firstCrossing: false });
    expect(later.criticalLearningRate).toBeCloseTo(0.3, 1);
    expect(later.firstCrossing).toBe("bracketed");
    const first = await findCriticalLearningRate(twice, options);
    expect(Math.abs(first.criticalLearningRate / 0.0058 - 1)).toBeLessThan(1 / 16);
    expect(first.firstCrossing).toBe("probed");
  }
});

test("with `near` it probes only where the answer is more than 4× away", async () => {
  const find = (near: number | number[]) =>
    findCriticalLearningRate(twice, { slope: 1, initialLearningRate: 0.2, firstCrossing: { near } });
  expect((await find(0.25)).firstCrossing).toBe("bracketed");
  expect((await find(0.1)).firstCrossing).toBe("bracketed");
  expect((await find(0.06)).criticalLearningRate).toBeCloseTo(0.0058, 3);
  expect((await find([2, 0.25])).firstCrossing).toBe("bracketed");
  expect((await find([2, 0.05])).firstCrossing).toBe("probed");
  expect((await find(2)).criticalLearningRate).toBeCloseTo(0.0058, 3);
});

test("without a crossing above the start it looks below the start", async () => {
  const loss = bumpy([{ from: 0.01, to: 0.09 }], Infinity);
  const result = await findCriticalLearningRate((eta) => (eta === 0 ? 1 : loss(eta) - 1e-9 * eta), {
    initialLearningRate: 0.1,
    slope: 1,
  });
  expect(result.status).toBe("converged");
  expect(Math.abs(result.criticalLearningRate / 0.01 - 1)).toBeLessThan(1 / 16);
});
