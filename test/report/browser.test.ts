import path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { measureMix, reportContent } from "../../lib/experiments/index.js";
import { comparisonContent } from "../../lib/experiments/train/run-comparison.js";
import type { CurvatureRecord } from "../../lib/experiments/train/train-records.js";
import { densityFigure } from "../../lib/report/figures/distributions.js";
import { landscapeFigure } from "../../lib/report/figures/landscape.js";
import { sliceFigure } from "../../lib/report/figures/slice.js";
import { document, page, type ReportContent } from "../../lib/report/index.js";
import { makeMix } from "../experiments/mix-helpers.js";
import { hasBrowser, type SeenPage, seePage, type Theme } from "./browser.js";
import {
  configuration,
  landscape,
  measurement,
  step,
  temporaryFolder,
  writeRun,
  writeSeries,
} from "./helpers.js";

const folder = temporaryFolder();
/** Whoever changes how a page looks looks at these. */
const pictures = path.resolve(import.meta.dirname, "../../build/test-reports/pages");
const count = (n: number) => Array.from({ length: n }, (_, i) => i);

/** A run with everything that a figure of one can show: all statuses, losses that are not finite, second derivatives. */
function trainingRun(name: string, { steps = 60, factor = 1, change = {} } = {}): string {
  const records = count(steps).flatMap((i) => {
    const learningRate = 0.003 * Math.min(1, (i + 1) / 12);
    const sharpness =
      [Infinity, NaN, 0][[9, 17, 31].indexOf(i)] ??
      factor * (20 + 600 * (i / steps) ** 2) * (1 + 0.3 * Math.sin(5 * i));
    const [y, residual] = [factor * 40 * (i + 1), [0.5, 30, 5000][i % 3] as number];
    const curvature: CurvatureRecord = {
      ...{ type: "curvature", step: i + 1, learningRate, preconditioned: null, seconds: 1 },
      hessian: { eigenvalue: y, residual, iterations: 9, converged: i % 9 !== 8 },
      ...{ directionalSharpness: i % 20 === 10 ? -3 : y / 3, threshold: 2 / learningRate },
    };
    const loss = i >= steps - 3 ? null : 5 * Math.exp(-i / 30) + 0.2 * Math.sin(i);
    return [
      step(i + 1, { loss: loss as number, learningRate, measurement: measurement(sharpness, 3 + (i % 4)) }),
      ...(i % 5 === 0 ? [curvature] : []),
      ...(i % 20 === 19 ? [{ type: "validation", step: i + 1, loss: 2 + 1 / i }] : []),
    ];
  });
  return writeRun(path.join(folder, name), [...records, landscape], change);
}

function checkpointSeries(): string {
  const parts = (i: number) =>
    Object.fromEntries([
      ["embeddings", i === 2 ? null : 5 + i],
      ...count(12).map((layer) => [
        `layer ${layer}`,
        layer === 3 && i === 1 ? NaN : 40 * 1.6 ** layer * (i + 1),
      ]),
      ["last norm", 0.5],
      ["attention", 30],
      ["mlp", 700],
      ["norms", 2],
    ]);
  return writeSeries(
    path.join(folder, "series"),
    [
      { name: "step1000-with-a-rather-long-name", mean: 10, error: 12 },
      { name: "step2000", mean: 100, error: 95 },
      { name: "step3000", mean: null },
      { name: "step4000", mean: 2000, error: 100, nonDescent: 1, unresolved: 1 },
      { name: "step5000", mean: null, unresolved: 4 },
      { name: "final", mean: 3000, step: null },
    ].map((checkpoint, i) => ({ ...checkpoint, parts: parts(i) })),
    {
      parts: ["blocks", "kinds"],
      data: "/a/rather/long/path/to/the/texts/of-a-corpus/with_many_parts/text.jsonl",
    },
  );
}

/** What has figures, and no page of its own. */
function figuresAlone(): ReportContent {
  const grid = count(200).map((i) => -20 + i);
  const plane = count(21).map((i) => (i - 10) / 10);
  const along = { baseLoss: 1, critical: 0.5, learningRate: NaN, label: "loss" };
  return {
    title: "Figures",
    lead: "",
    figures: [
      densityFigure({
        grid,
        density: grid.map((x) => Math.exp(-(x ** 2)) + 1e-4 * Math.exp(-((x - 150) ** 2) / 9)),
        eigenvalues: [150, 120, 35],
      }),
      landscapeFigure({ ...along, points: plane.map((x) => ({ x, y: 1 - x + 2 * x ** 2 })), from: -1 }),
      landscapeFigure({
        ...along,
        critical: NaN,
        status: "unresolved",
        points: plane.map((x) => ({ x, y: 1 })),
      }),
      sliceFigure({
        ...{ ...along, first: plane, second: plane, secondName: "the top eigenvector" },
        losses: plane.map((v) => plane.map((u) => 1 - u + 2 * u ** 2 + 3 * v ** 2)),
      }),
    ],
    tables: [],
    links: [],
    csv: [],
  };
}

async function comparison(): Promise<ReportContent> {
  const optimizer = (learningRate: number) => ({
    ...configuration,
    optimizer: { type: "sgd", learningRate },
  });
  const runs = [0.1, 0.2, 0.4].map((rate, i) =>
    trainingRun(`compared-${i}`, { factor: 1 + i, change: optimizer(rate) }),
  );
  return (await comparisonContent(runs)).content;
}

const contents: Record<string, () => Promise<ReportContent>> = {
  run: () => reportContent(trainingRun("run", { change: { steps: 500 } })),
  series: () => reportContent(checkpointSeries()),
  mixture: async () => {
    const { configuration } = await makeMix(path.join(folder, "given"));
    const directory = path.join(folder, "mixture");
    await measureMix(configuration, { directory, train: true });
    return reportContent(directory);
  },
  comparison,
  figures: async () => figuresAlone(),
};

describe.skipIf(!hasBrowser)("in a real browser", () => {
  it("what is looked for is found where it is", () => {
    const text = (y: number) => `<text x="4" y="${y}" fill="#aaaaaa">covered text</text>`;
    const figure = `<figure><svg width="300" height="90" role="img" aria-label="spoken"><rect width="300" height="90" fill="#ffffff"/>
<rect aria-label="frame" x="20" y="20" width="200" height="60" fill="none"/>${text(40)}${text(42)}<text x="340" y="20">outside</text>
<g class="a-bars"><line x1="50" x2="50" y1="5" y2="70" stroke="black"/></g></svg></figure>`;
    const word =
      '<p style="width:40px;overflow-wrap:anywhere;background:white;color:#999">Donaudampfschiff</p>';
    const [seen] = seePage(document("wrong", `${figure}${word}<div style="width:700px">wide</div>`), {
      theme: "light",
      widths: [360],
    }) as [SeenPage];
    expect(seen.overflow).toBeGreaterThan(300);
    expect(seen.brokenWords).toEqual(["Donaudampfschiff"]);
    expect(seen.faint).toEqual(expect.arrayContaining(["Donaudampfschiff 2.85", "covered text 2.32"]));
    expect(seen.figures).toMatchObject([
      {
        outside: ["outside"],
        covered: ["covered text | covered text"],
        beyondFrame: ["a-bars", "an error bar"],
        spoken: "spoken",
      },
    ]);
  });

  describe.each(Object.keys(contents))("the page of a %s", (name) => {
    const seen = {} as Record<Theme, SeenPage[]>;
    let content: ReportContent;
    beforeAll(async () => {
      content = await (contents[name] as () => Promise<ReportContent>)();
      for (const theme of ["light", "dark"] as const)
        seen[theme] = seePage(page(content), {
          ...{ theme, widths: [1000, 360] },
          picture: path.join(pictures, `${name}-${theme}.png`),
        });
    });

    it("follows the theme, and every text has the contrast that WCAG asks for in both", () => {
      expect(seen.light.map(({ background }) => background)).toEqual(Array(2).fill("rgb(255, 255, 255)"));
      expect(seen.dark.map(({ background }) => background)).toEqual(Array(2).fill("rgb(18, 22, 28)"));
      for (const { faint } of [...seen.light, ...seen.dark]) expect(faint).toEqual([]);
    });
    it("is never wider than its window, and breaks no word", () => {
      expect(seen.light.map(({ width }) => width)).toEqual([1000, 360]);
      for (const { overflow, brokenWords } of [...seen.light, ...seen.dark]) {
        expect(overflow).toBe(0);
        expect(brokenWords).toEqual([]);
      }
    });
    it("has figures that are as wide as it, with texts inside, none over another, and marks within their frames", () => {
      for (const { width, figures } of seen.light) {
        expect(figures).toHaveLength(content.figures.length);
        for (const figure of figures) {
          expect(figure.width).toBeGreaterThan(0.8 * width);
          expect(figure.width).toBeLessThanOrEqual(width);
          expect(figure.texts).toBeGreaterThan(5);
          expect(figure.outside).toEqual([]);
          expect(figure.covered).toEqual([]);
          expect(figure.beyondFrame).toEqual([]);
        }
      }
    });
    it("tells what its figures show", () => {
      for (const { figures } of seen.light)
        figures.forEach(({ spoken }, i) => {
          expect(spoken).toContain(content.figures[i]?.title);
          expect(spoken).toMatch(/Horizontal: .+ Vertical: .+/);
        });
    });
  });
});
