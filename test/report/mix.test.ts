import { readFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { measureMix, summarizeMix, writeReport } from "../../lib/experiments/index.js";
import type { Measured } from "../../lib/experiments/mix/mix-estimate.js";
import { changeMapFigure } from "../../lib/experiments/mix/mix-figures.js";
import { type MixCellRecord, oneTraining } from "../../lib/experiments/mix/mix-records.js";
import { mixSharpnessFigure } from "../../lib/experiments/mix/sharpness-figure.js";
import { mixVerdict } from "../../lib/experiments/mix/summary.js";

import { figureSize } from "../../lib/report/style.js";
import { raster } from "../../lib/report/write.js";
import { temporaryFolder } from "../experiments/helpers.js";
import { makeMix } from "../experiments/mix-helpers.js";

const folder = temporaryFolder();
const ratios = [0, 0.5, 1];
/** One task that only descends above a half, one whose λc rises, one without a rise, one that is unresolved at 1. */
const measured = [0, 1, 2, 3, 4, 5, 6].flatMap((repeat) =>
  ratios.flatMap((ratio): Measured[] => {
    const line = (slope: number, curvature: number): Measured["measurement"] => ({
      status: slope <= 0 ? "non-descent" : curvature === 0 ? "unbounded" : "converged",
      slope,
      criticalSharpness: slope <= 0 ? null : curvature / slope,
    });
    const shift = 0.02 * repeat;
    const unresolved = { status: "unresolved", slope: 1, criticalSharpness: null } as const;
    return [
      { repeat, ratio, task: "old", measurement: line(ratio - 0.3 - shift, 2) },
      { repeat, ratio, task: "new", measurement: line(1.5 - ratio + shift, 2) },
      { repeat, ratio, task: "flat", measurement: line(1, 0) },
      { repeat, ratio, task: "dim", measurement: ratio === 1 ? unresolved : line(3, 1) },
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
    expect(marks("candidates")).toBe(1);
    expect(marks("unresolved")).toBe(1);
    expect(svg).toContain("unresolved (1)");
    expect(svg).toContain("non-descent (1)");
    expect(svg).toContain("unbounded (3)");
    expect((await raster(svg)).length).toBeGreaterThan(5000);
  });

  it("colour a change by its sign: nothing at zero, blue what is better, orange what is worse", () => {
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
      expect(svg).toMatch(/>\+1<\/text>.*>−1<\/text>/s);
      return [...group.matchAll(/<rect[^>]*>/g)].map(([rect]) => {
        const [, name = "none"] = /fill="(?:var\(--)?([#\w]+)/.exec(rect) ?? [];
        return / fill-opacity="0"/.test(rect) ? "nothing" : name;
      });
    };
    expect(fills("less")).toEqual(["nothing", "worse", "better", "#b5125a", "nothing", "nothing"]);
    expect(fills("more")).toEqual(["nothing", "better", "worse", "#b5125a", "nothing", "nothing"]);
  });
});

describe("the verdict of training", () => {
  const setup = { steps: 5, batches: 1, choices: {} };
  const cell = (ratio: number, learningRate: number, change: number | null): MixCellRecord => ({
    type: "cell",
    ratio,
    learningRate,
    setup,
    tasks: { a: { before: 1, after: change === null ? null : 1 + change }, b: { before: 1, after: 0.9 } },
    choices: {},
    seconds: 1,
  });
  /** Changes by ratio, at the learning rates 0.1, 0.2 and 0.4. */
  const grid = (changes: Record<number, (number | null)[]>) =>
    Object.entries(changes).flatMap(([ratio, own]) =>
      own.map((change, i) => cell(Number(ratio), 0.1 * 2 ** i, change)),
    );
  const of = (chosen: number[], change: Partial<typeof recommendation> = {}) => ({
    ...recommendation,
    ratio: chosen[0] as number,
    ratios: chosen,
    decided: true,
    descends: true,
    ...change,
  });
  const cells = grid({ 0: [-1, 1, 1], 0.5: [-1, -1, 1], 1: [1, -1, null] });

  it("takes the end of the run without a rise from the smallest learning rate on", () => {
    const verdict = mixVerdict(grid({ 0: [-1, 1, -1], 0.5: [-1, -1, 1], 1: [1, -1, -1] }), of([0.5]));
    expect(verdict).toMatchObject({
      // At 0 there is no rise at 0.4, at 1 none from 0.2 on: chance, above a rise.
      safe: [
        { ratio: 0, learningRate: 0.1 },
        { ratio: 0.5, learningRate: 0.2 },
        { ratio: 1, learningRate: null },
      ],
      best: [0.5],
      held: true,
    });
  });
  it("holds where a ratio with the largest such learning rate is among the recommended", () => {
    expect(mixVerdict(cells, of([0.5, 1]))).toMatchObject({ best: [0.5], held: true });
    expect(mixVerdict(cells, of([0]))).toMatchObject({ best: [0.5], held: false });
    expect(mixVerdict(cells, of([0, 0.5, 1], { decided: false }))).toMatchObject({ held: null });
    const none = { ratio: null, decided: false };
    expect(mixVerdict(cells, of([0], { ...none, descends: false }))).toMatchObject({ held: false });
    expect(mixVerdict(cells, of([0], { ...none, descends: null }))).toMatchObject({
      held: null,
      best: [0.5],
    });
  });
  it("says nothing where every training raised a loss, none told ratios apart, or there was none", () => {
    const worse = grid({ 0: [1, 1], 1: [1, 1] });
    expect(mixVerdict(worse, of([0]))).toMatchObject({ best: [], held: null });
    const never = of([0], { ratio: null, decided: false, descends: false });
    expect(mixVerdict(worse, never)).toMatchObject({ held: true });
    expect(mixVerdict(grid({ 0: [-1, -1], 1: [-1, -1] }), of([0]))).toMatchObject({
      best: [0, 1],
      held: null,
    });
    expect(mixVerdict([], recommendation)).toBeNull();
  });
  it("compares learning rates at which every ratio was trained, of one training", () => {
    const more = [...cells, cell(0, 0.05, -1), cell(0, 0.15, -1)];
    expect(mixVerdict(more, of([0.5]))).toEqual(mixVerdict(cells, of([0.5])));
    expect(mixVerdict([cell(0, 0.1, -1), cell(1, 0.2, -1)], of([0]))).toMatchObject({ best: [], held: null });
    const long = cells.map((c) => ({ ...c, setup: { ...setup, steps: 9 } }));
    expect(oneTraining([...long, ...cells], { steps: 9, batches: 4 })).toEqual(long);
    expect(oneTraining([...long, ...cells], { steps: 7, batches: 4 })).toEqual(cells);
    expect(oneTraining([...cells, ...cells], { steps: 5, batches: 4 })).toEqual(cells);
    expect(oneTraining([], { steps: 5, batches: 4 })).toEqual([]);
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
    for (const text of [
      "Recommendation",
      "Source old",
      "Task other",
      "16 backward passes over 16 sequences",
      "The best is among",
    ])
      expect(html).toContain(text);
  });
  it("has a line for each repeat, ratio and task, and one for all repeats", () => {
    const lines = readFileSync(path.join(directory, "metrics.csv"), "utf8").trimEnd().split("\n");
    expect(lines).toHaveLength(1 + 2 * 3 * 3 + 3 * 3);
    expect(lines.filter((line) => line.startsWith("all,"))).toHaveLength(9);
  });
});
