import { readFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { measureMix, summarizeMix } from "../../lib/experiments/index.js";
import type { Measured } from "../../lib/experiments/mix-estimate.js";
import type { MixCellRecord } from "../../lib/experiments/mix-records.js";
import { mixVerdict } from "../../lib/experiments/mix-verdict.js";
import { changeMapFigure } from "../../lib/report/figures/change-map.js";
import { mixSharpnessFigure } from "../../lib/report/figures/mix-sharpness.js";
import { writeReport } from "../../lib/report/index.js";
import { raster } from "../../lib/report/raster.js";
import { figureSize } from "../../lib/report/style.js";
import { temporaryFolder } from "../experiments/helpers.js";
import { makeMix } from "../experiments/mix-helpers.js";

const folder = temporaryFolder();
const ratios = [0, 0.5, 1];
/** One task that only descends above a half, one whose λc rises, one without a rise. */
const measured = [0, 1, 2].flatMap((repeat) =>
  ratios.flatMap((ratio): Measured[] => {
    const line = (slope: number, curvature: number): Measured["measurement"] => ({
      status: slope <= 0 ? "non-descent" : curvature === 0 ? "unbounded" : "converged",
      slope,
      criticalSharpness: slope <= 0 ? null : curvature / slope,
    });
    const shift = 0.05 * repeat;
    return [
      { repeat, ratio, task: "old", measurement: line(ratio - 0.3 - shift, 2) },
      { repeat, ratio, task: "new", measurement: line(1.5 - ratio + shift, 2) },
      { repeat, ratio, task: "flat", measurement: line(1, 0) },
    ];
  }),
);
const { points, recommendation } = summarizeMix(measured);

describe("the figures of a mix", () => {
  it("mark every value: converged ones with bars, non-descent above, unbounded below, the sweet spot", async () => {
    const svg = mixSharpnessFigure({ points, recommendation, vary: "old text" }).draw(figureSize);
    expect(svg).toContain("ratio of old text in the mixture");
    const marks = (name: string) => [...svg.matchAll(new RegExp(`class="${name}"`, "g"))].length;
    expect(marks("non-descent")).toBe(1);
    expect(marks("unbounded")).toBe(1);
    expect(marks("sweet-spot")).toBe(1);
    expect(marks("interval")).toBe(1);
    expect(svg).toContain("non-descent (1)");
    expect(svg).toContain("unbounded (3)");
    expect((await raster(svg)).length).toBeGreaterThan(5000);
  });

  it("colour a change by its sign: white at zero, blue what is better, red what is worse", () => {
    const cells = [
      { ratio: 0, learningRate: 0.1, change: 0 },
      { ratio: 0, learningRate: 0.2, change: 1 },
      { ratio: 1, learningRate: 0.1, change: -1 },
      { ratio: 1, learningRate: 0.2, change: NaN },
      { ratio: 0, learningRate: 0.94, change: 0 },
      { ratio: 1, learningRate: 0.94, change: 0 },
    ];
    const fills = (better: "more" | "less") => {
      const svg = changeMapFigure({
        name: "map",
        what: "loss",
        better,
        cells,
        steps: 3,
        basin: [
          { x: 0, y: 0.15 },
          { x: 1, y: 0 },
        ],
        basinName: "ηc",
        vary: "old",
      }).draw(figureSize);
      expect(svg).toContain('class="basin"');
      for (const rate of ["0.1", "0.2", "0.94"]) expect(svg).toContain(`>${rate}</text>`);
      const group = /<g[^>]*class="cells"[^>]*>(.*?)<\/g>/s.exec(svg)?.[1] ?? "";
      return [...group.matchAll(/fill="(#[0-9a-f]+)"/g)].map(([, color]) => color);
    };
    expect(fills("less")).toEqual(["#ffffff", "#b2182b", "#2166ac", "#6e0a1e", "#ffffff", "#ffffff"]);
    expect(fills("more")).toEqual(["#ffffff", "#2166ac", "#b2182b", "#6e0a1e", "#ffffff", "#ffffff"]);
  });
});

describe("the verdict of training", () => {
  const cell = (ratio: number, learningRate: number, change: number | null): MixCellRecord => ({
    type: "cell",
    ratio,
    learningRate,
    setup: { steps: 5, batches: 1, choices: {} },
    tasks: { a: { before: 1, after: change === null ? null : 1 + change }, b: { before: 1, after: 0.9 } },
    choices: {},
    seconds: 1,
  });
  const at = (ratio: number | null, interval: [number, number] | null) => ({
    ...recommendation,
    ratio,
    interval,
  });
  it("holds where the ratio with the largest safe learning rate is within the interval", () => {
    const cells = [
      cell(0, 0.1, -0.1),
      cell(0, 0.2, 0.1),
      cell(0.5, 0.1, -0.1),
      cell(0.5, 0.2, -0.1),
      cell(1, 0.2, null),
    ];
    expect(mixVerdict(cells, at(0.4, [0.3, 0.6]))).toMatchObject({
      safe: [
        { ratio: 0, learningRate: 0.1 },
        { ratio: 0.5, learningRate: 0.2 },
        { ratio: 1, learningRate: null },
      ],
      best: [0.5],
      held: true,
    });
    expect(mixVerdict(cells, at(0, [0, 0.1]))).toMatchObject({ held: false });
    const never = { ...at(null, null), support: [] };
    expect(mixVerdict(cells, never)).toMatchObject({ held: false });
    expect(mixVerdict(cells, at(null, null))).toMatchObject({ held: null, best: [0.5] });
  });
  it("says nothing where every training raised a loss, or there was none", () => {
    expect(mixVerdict([cell(0, 0.1, 0.2)], at(0.5, [0.5, 0.5]))).toMatchObject({ best: [], held: null });
    const never = { ...at(null, null), support: [] };
    expect(mixVerdict([cell(0, 0.1, 0.2)], never)).toMatchObject({ held: true });
    expect(mixVerdict([], recommendation)).toBeNull();
  });
});

describe("the report of a mix", () => {
  const directory = path.join(folder, "run");
  let html: string;
  beforeAll(async () => {
    const { configuration } = await makeMix(path.join(folder, "given"));
    await measureMix(configuration, { directory, train: true });
    const report = await writeReport(directory);
    html = readFileSync(report.html, "utf8");
    expect(Object.keys(report.figures)).toEqual([
      "mix-sharpness",
      "loss-change-old",
      "loss-change-fresh",
      "loss-change-other",
      "accuracy-change-questions",
      "task-matrix",
    ]);
    for (const { png } of Object.values(report.figures))
      expect(readFileSync(png).length).toBeGreaterThan(5000);
  });
  it("has the recommendation, the verdict, every figure, the tables and the cost", () => {
    expect(html).toMatch(/ratio|recommend/);
    expect(html).toContain("After 2 steps");
    expect(html.match(/<figure>/g)).toHaveLength(6);
    for (const text of ["Recommendation", "Source old", "Task other", "8 backward passes", "95 % interval"])
      expect(html).toContain(text);
  });
  it("has a line for each repeat, ratio and task, and one for all repeats", () => {
    const lines = readFileSync(path.join(directory, "metrics.csv"), "utf8").trimEnd().split("\n");
    expect(lines).toHaveLength(1 + 2 * 3 * 3 + 3 * 3);
    expect(lines.filter((line) => line.startsWith("all,"))).toHaveLength(9);
  });
});
