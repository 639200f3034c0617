import { describe, expect, it } from "vitest";
import { type CurvatureData, edgeOfStability } from "../../lib/report/edge-of-stability.js";

import { curvatureFigure, relativeCurvatureFigure } from "../../lib/report/figures/curvature.js";
import { sliceFigure } from "../../lib/report/figures/slice.js";
import { figureSize } from "../../lib/report/style.js";

const steps = Array.from({ length: 10 }, (_, i) => i + 1);
const data: CurvatureData = {
  name: "λmax(P⁻¹H)",
  largest: steps.map((x) => ({ x, y: 100 * x, low: 90 * x, high: 110 * x, converged: x !== 4 })),
  threshold: steps.map((x) => ({ x, y: 1900 })),
  thresholdName: "(1+β₁)/(1−β₁) · (2/η − γ)",
  directional: steps.map((x) => ({ x, y: x === 3 ? -5 : 5 * x })),
  critical: steps.map((x) => ({ x, y: 6 * x })),
  unresolved: [],
  nonDescent: [],
  stepThreshold: steps.map((x) => ({ x, y: 100 })),
};
const count = (svg: string, className: string, tag: string) => {
  const group = new RegExp(`<g[^>]*class="${className}"[^>]*>(.*?)</g>`, "s").exec(svg)?.[1] ?? "";
  return group.split(`<${tag}`).length - 1;
};

describe("curvature", () => {
  const svg = curvatureFigure(data).draw(figureSize);

  it("shows every eigenvalue with its residual, and tells which did not converge", () => {
    expect(count(svg, "largest-points", "circle")).toBe(10);
    expect(count(svg, "residual-bars", "line")).toBe(10);
    expect(svg).toContain("1 not converged");
  });

  it("shows both thresholds where they differ, and one where they do not", () => {
    expect(svg).toContain('class="eigenvalue-threshold"');
    const descent = { ...data, threshold: data.stepThreshold, thresholdName: "2/η" };
    expect(curvatureFigure(descent).draw(figureSize)).not.toContain('class="eigenvalue-threshold"');
  });

  it("drops no λdir that has no place on a log axis", () => {
    expect(count(svg, "negative-directional", "path")).toBe(1);
    expect(count(relativeCurvatureFigure(data).draw(figureSize), "negative-directional", "path")).toBe(1);
  });

  it("tells where the second half of the steps at the highest learning rate sits", () => {
    // λmax 600, 700, … 1000 of 1900; λc 36, 42, … 60 of 100.
    expect(svg).toMatch(/aria-label="[^"]* steps 6–10: [^"]* 0\.421 .* 0\.48\b/);
  });
});

describe("edge of stability", () => {
  const eigenvalues = (ratio: (x: number) => number) =>
    steps.map((x) => ({ x, y: 1900 * ratio(x), low: 0, high: 0, converged: true }));

  it("is reached from below: an eigenvalue that starts above the threshold has yet to fall", () => {
    const ratios = [3, 2, 0.5, 0.8, 0.9, 1.1, 0.9, 1.2, 1, 1.3];
    const edge = edgeOfStability({ ...data, largest: eigenvalues((x) => ratios[x - 1] as number) });
    expect(edge.reached).toBe(6);
    // 0.9, 1, 1.1, 1.2, 1.3; λc over 2/η = 100: 0.36, 0.42, … 0.6.
    expect([edge.from, edge.to, edge.largest?.count]).toEqual([6, 10, 5]);
    expect(edge.largest?.median).toBeCloseTo(1.1, 12);
    expect(edge.largest?.low).toBeCloseTo(1, 12);
    expect(edge.critical?.median).toBeCloseTo(0.48, 12);
    expect(edge.critical?.high).toBeCloseTo(0.54, 12);
  });

  it("leaves out warmup and decay", () => {
    // η is highest in steps 3 to 8.
    const stepThreshold = steps.map((x) => ({ x, y: x >= 3 && x <= 8 ? 100 : 300 }));
    const edge = edgeOfStability({ ...data, stepThreshold });
    expect([edge.from, edge.to]).toEqual([6, 8]);
    expect(edge.reached).toBeNull();
    expect(edge.largest?.median).toBeCloseTo(700 / 1900, 12);
  });

  it("has no spread of what was not measured", () => {
    expect(edgeOfStability({ ...data, critical: [] }).critical).toBeNull();
  });
});

describe("slice", () => {
  const axis = Array.from({ length: 21 }, (_, i) => (i - 10) / 10);
  const losses = axis.map((y) => axis.map((x) => (x - 0.4) ** 2 + y ** 2));

  it("draws the border within which the loss is not above L(θ)", () => {
    const figure = sliceFigure({
      first: axis,
      second: axis,
      losses,
      baseLoss: 0.16,
      critical: 0.8,
      secondName: "the top eigenvector",
      label: "loss",
    });
    const svg = figure.draw(figureSize);
    expect(count(svg, "base-loss", "path")).toBe(1);
    expect(count(svg, "marked", "circle")).toBe(2);
    expect(svg).toContain("the top eigenvector");
  });
});
