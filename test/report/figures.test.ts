import { describe, expect, it } from "vitest";
import { forwardPassesFigure } from "../../lib/report/figures/distributions.js";
import { landscapeFigure } from "../../lib/report/figures/landscape.js";
import { learningRateFigure, lossFigure } from "../../lib/report/figures/loss.js";
import { type SharpnessData, sharpnessFigure } from "../../lib/report/figures/sharpness.js";
import { type Figure, figureSize } from "../../lib/report/style.js";

import { type FoundElement, find } from "./helpers.js";

const draw = (figure: Figure, size = figureSize) => figure.draw(size);
const texts = (svg: string) => find(svg, "text").map(({ textContent }) => textContent);
/** The places at which a path has its points, in pixels. */
const points = (path: FoundElement | undefined) =>
  [...(path?.getAttribute("d") ?? "").matchAll(/[ML]?(-?[\d.]+),(-?[\d.]+)/g)].map(([, x, y]) => ({
    x: Number(x),
    y: Number(y),
  }));
const place = (element: FoundElement | undefined) => {
  const [, x, y] = /translate\((-?[\d.]+),(-?[\d.]+)\)/.exec(element?.getAttribute("transform") ?? "") ?? [];
  return { x: Number(x), y: Number(y) };
};
const count = (n: number) => Array.from({ length: n }, (_, i) => i + 1);

function sharpnessData(n: number, change: Partial<SharpnessData> = {}): SharpnessData {
  return {
    measured: count(n).map((x) => ({ x, y: 10 + x / n, low: 9 + x / n, high: 11 + x / n })),
    threshold: count(n).map((x) => ({ x, y: 2000 / x })),
    nonDescent: [],
    unbounded: [],
    unresolved: [],
    ...change,
  };
}

describe("λc against the threshold", () => {
  it("has every measurement, its bracket and the threshold", () => {
    const svg = draw(sharpnessFigure(sharpnessData(12)));
    expect(find(svg, ".measured circle")).toHaveLength(12);
    expect(find(svg, ".bracket line")).toHaveLength(12);
    const threshold = points(find(svg, ".threshold path")[0]);
    expect(threshold).toHaveLength(12);
    expect(texts(svg)).toContain("threshold 2/η");
  });
  it("is logarithmic: equal ratios are equally far apart", () => {
    const threshold = [1, 2, 3].map((x) => ({ x, y: 10 ** x }));
    const svg = draw(sharpnessFigure(sharpnessData(0, { threshold })));
    const [a, b, c] = points(find(svg, ".threshold path")[0]).map(({ y }) => y) as [number, number, number];
    expect(a - b).toBeGreaterThan(10);
    expect(a - b).toBeCloseTo(b - c, 1);
  });
  it("marks what has no place on the axis at its edges, above and below all else", () => {
    const nonDescent = [2, 5, 9];
    const unbounded = [3, 4];
    const svg = draw(sharpnessFigure(sharpnessData(12, { nonDescent, unbounded })));
    const top = find(svg, ".non-descent path");
    const bottom = find(svg, ".unbounded path");
    expect(top).toHaveLength(3);
    expect(bottom).toHaveLength(2);
    const others = points(find(svg, ".threshold path")[0]);
    const offset = (name: string) => place(find(svg, `.${name}`)[0]).y;
    for (const mark of top)
      expect(place(mark).y + offset("non-descent")).toBeLessThan(Math.min(...others.map(({ y }) => y)));
    for (const mark of bottom)
      expect(place(mark).y + offset("unbounded")).toBeGreaterThan(Math.max(...others.map(({ y }) => y)));
    expect(place(top[1]).x).toBeCloseTo(others[4]?.x as number, 1);
    expect(texts(svg)).toEqual(
      expect.arrayContaining(["λc = ∞: non-descent (3)", "λc = 0: unbounded (2)", "∞", "0"]),
    );
  });
  it("rings what is unresolved at the lower edge, and counts it apart", () => {
    const svg = draw(sharpnessFigure(sharpnessData(12, { unresolved: [13, 14] })));
    expect(find(svg, ".unresolved circle")).toHaveLength(2);
    expect(texts(svg)).toContain("unresolved (2)");
    expect(texts(svg)[1]).toContain("of 12 measurements, 2 more unresolved");
  });
  it("breaks its line where λc is infinite", () => {
    const whole = sharpnessData(5);
    const data = { ...whole, measured: whole.measured.filter(({ x }) => x !== 3), nonDescent: [3] };
    const d = find(draw(sharpnessFigure(data)), ".measured-line path")[0]?.getAttribute("d");
    expect(d?.match(/M/g)).toHaveLength(2);
  });
  it("drops none of them among very many measurements", () => {
    const nonDescent = count(400).map((i) => 40 * i);
    const unbounded = count(300).map((i) => 50 * i);
    const svg = draw(sharpnessFigure(sharpnessData(20_000, { nonDescent, unbounded })));
    // Neighbours within a few pixels are one mark, which counts them.
    const told = (name: string) =>
      find(svg, `.${name} title`)
        .map(({ textContent }) => 1 + Number(/and (\d+) more/.exec(textContent)?.[1] ?? 0))
        .reduce((sum, n) => sum + n, 0);
    expect(find(svg, ".non-descent path").length).toBeLessThanOrEqual(300);
    expect([told("non-descent"), told("unbounded")]).toEqual([400, 300]);
    expect(find(svg, ".measured-range path")).toHaveLength(1);
    expect(find(svg, ".running-median path")).toHaveLength(1);
    expect(svg.length).toBeLessThan(300_000);
  });
  it("is there though nothing converged", () => {
    const svg = draw(
      sharpnessFigure({ measured: [], threshold: [], nonDescent: [1], unbounded: [], unresolved: [] }),
    );
    expect(find(svg, ".non-descent path")).toHaveLength(1);
  });
  it("tells how often λc is above the threshold", () => {
    const data = sharpnessData(4, { nonDescent: [5], unbounded: [6] });
    data.threshold = [5, 5, 100, 100, 1, 1].map((y, i) => ({ x: i + 1, y }));
    expect(texts(draw(sharpnessFigure(data)))[1]).toContain("above the threshold in 3 of 6 measurements");
  });
});

describe("loss", () => {
  const series = (n: number, y: (x: number) => number) => count(n).map((x) => ({ x, y: y(x) }));

  it("is smoothed where there are many steps, and only there", () => {
    const few = draw(lossFigure({ batches: series(50, (x) => x), heldOut: [], label: "loss" }));
    expect(find(few, ".batches path")).toHaveLength(1);
    expect(find(few, ".batches-smoothed")).toHaveLength(0);
    const many = draw(lossFigure({ batches: series(500, (x) => x), heldOut: [], label: "loss" }));
    expect(find(many, ".batches-smoothed path")).toHaveLength(1);
  });
  it("shows validation and what is not finite", () => {
    const training = series(10, (x) => (x > 7 ? NaN : 1 / x));
    const svg = draw(lossFigure({ batches: training, heldOut: series(3, (x) => x), label: "loss" }));
    expect(find(svg, ".held-out circle")).toHaveLength(3);
    expect(find(svg, ".not-finite path")).toHaveLength(3);
    expect(texts(svg)).toContain("not finite (3)");
  });
  it("has a logarithmic axis over two decades", () => {
    const ticks = (last: number) =>
      texts(draw(lossFigure({ batches: series(100, (x) => last ** (x / 100)), heldOut: [], label: "" })));
    expect(ticks(1e-4)).toContain("10−2");
    expect(ticks(0.5)).toContain("0.8");
  });
});

describe("learning rate", () => {
  const axis = (rates: number[]) =>
    texts(draw(learningRateFigure({ learningRate: rates.map((y, i) => ({ x: i + 1, y })) })));

  it("has an axis from 0 though a warm-up begins near it", () => {
    expect(axis([1e-5, ...count(100).map(() => 0.003)])).toEqual(expect.arrayContaining(["0", "0.003"]));
  });
  it("has a logarithmic axis where it spans decades for long", () => {
    expect(axis(count(100).map((x) => 10 ** (-x / 20)))).toEqual(expect.arrayContaining(["10−4", "10−1"]));
  });
});

describe("loss along an update", () => {
  const data = {
    step: 7,
    points: count(20).map((i) => ({ x: 0.02 * i, y: 1 - 0.02 * i + 5 * (0.02 * i) ** 2 })),
    baseLoss: 1,
    critical: 0.2,
    learningRate: 0.1,
    label: "loss",
  };

  it("marks L(θ), ηc and the step's η where the curve has them", () => {
    const svg = draw(landscapeFigure(data));
    const curve = points(find(svg, ".curve path")[0]);
    expect(curve).toHaveLength(21);
    const at = (name: string, attribute: string) =>
      Number(find(svg, `.${name} line`)[0]?.getAttribute(attribute) ?? NaN);
    expect(at("critical", "x1")).toBeCloseTo(curve[10]?.x as number, 1);
    expect(at("learning-rate", "x1")).toBeCloseTo(curve[5]?.x as number, 1);
    expect(at("base-loss", "y1")).toBeCloseTo(curve[10]?.y as number, 1);
    expect(curve[0]?.y).toBeCloseTo(curve[10]?.y as number, 1);
    expect(texts(svg)).toEqual(expect.arrayContaining(["step's η = 0.1", "ηc = 0.2"]));
  });
  it("is there without a critical learning rate and with losses that are not finite", () => {
    const broken = data.points.map(({ x, y }) => ({ x, y: x > 0.3 ? NaN : y }));
    const svg = draw(landscapeFigure({ ...data, points: broken, critical: NaN }));
    expect(find(svg, ".critical")).toHaveLength(0);
    expect(find(svg, ".not-finite path")).toHaveLength(5);
  });
  it("shows the step's η though the curve ends before it", () => {
    const svg = draw(landscapeFigure({ ...data, learningRate: 2 }));
    const x = Number(find(svg, ".learning-rate line")[0]?.getAttribute("x1"));
    expect(x).toBeGreaterThan(Math.max(...points(find(svg, ".curve path")[0]).map((point) => point.x)));
    expect(x).toBeLessThan(figureSize.width);
  });
});

describe("forward passes", () => {
  it("has a bar for each number, with its height, and tells median and mean", () => {
    const svg = draw(forwardPassesFigure({ forwardPasses: [2, 3, 3, 3, 3, 10] }));
    const heights = find(svg, ".measurements rect").map((bar) => Number(bar.getAttribute("height")));
    expect(heights).toHaveLength(3);
    expect((heights[1] as number) / (heights[0] as number)).toBeCloseTo(4, 1);
    expect(heights[2]).toBeCloseTo(heights[0] as number, 1);
    expect(texts(svg)).toEqual(expect.arrayContaining(["median 3", "mean 4"]));
  });

  it("has no number beyond its frame", () => {
    const forwardPasses = Array.from({ length: 100 }, (_, i) => (i % 2 === 0 ? 2 : 24));
    const numbers = texts(draw(forwardPassesFigure({ forwardPasses })));
    expect(numbers).toEqual(expect.arrayContaining(["2", "24"]));
    for (const beyond of ["1", "25"]) expect(numbers).not.toContain(beyond);
  });
});

describe("every figure", () => {
  const all = [
    sharpnessFigure(sharpnessData(30, { nonDescent: [31], unbounded: [32] })),
    lossFigure({ batches: [{ x: 1, y: 1 }], heldOut: [], label: "loss" }),
    learningRateFigure({ learningRate: [{ x: 1, y: 0.1 }] }),
    forwardPassesFigure({ forwardPasses: [3] }),
  ];
  it.each([
    ["alone", figureSize],
    ["as a small panel", { width: 480, height: 320 }],
  ])("keeps its legend inside the picture, %s", (_, size) => {
    for (const figure of all) {
      const svg = draw(figure, size);
      expect(svg).not.toMatch(/NaN|undefined|Infinity/);
      for (const text of find(svg, ".legend text"))
        expect(Number(text.getAttribute("x"))).toBeLessThan(size.width - 40);
      expect(find(svg, "svg > text")[0]?.textContent).toBe(figure.title);
    }
  });
});
