import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { writeReport } from "../../lib/experiments/index.js";

import { failure, temporaryFolder } from "../data/helpers.js";
import { writeSeries } from "./helpers.js";

const folder = temporaryFolder();

const write = (name: string, ...series: Tail<Parameters<typeof writeSeries>>) =>
  writeSeries(path.join(folder, name), ...series);
type Tail<T> = T extends [unknown, ...infer Rest] ? Rest : never;

const read = (directory: string, file: string) => readFileSync(path.join(directory, file), "utf8");
const elements = (svg: string, className: string, tag: string) =>
  (
    new RegExp(`<g[^>]*class="${className}"[^>]*>(.*?)</g>`, "s")
      .exec(svg)?.[1]
      ?.match(new RegExp(`<${tag}[ >]`, "g")) ?? []
  ).length;

describe("the report of a series", () => {
  const checkpoints = [
    { name: "step10", mean: 100 },
    { name: "step20", mean: 200, nonDescent: 2 },
    { name: "step30", mean: null },
    { name: "step40", mean: 150 },
  ];

  it("has a point and a bar for each checkpoint, a ring and a triangle where Δ does not descend", async () => {
    const directory = write("plain", checkpoints);
    await writeReport(directory);
    const svg = read(directory, "figures/critical-sharpness.svg");
    expect(elements(svg, "critical-bars", "line")).toBe(3);
    expect(elements(svg, "some-non-descent", "circle")).toBe(1);
    expect(svg).toContain("some batches non-descent (1)");
    expect(svg).toContain("non-descent (1)");
    expect(svg).toContain("λ");
    const html = read(directory, "report.html");
    expect(html).toContain("Critical sharpness over checkpoints");
    expect(html).toContain("2 of 4 non-descent");
    expect(html).toContain("4 of 5");
  });

  it("has checkpoints without a step behind the others, by name, on no line with them", async () => {
    const others = ["final", "best"].map((name) => ({ name, mean: 120, step: null }));
    const directory = write("aside", [...checkpoints.slice(0, 2), ...others]);
    await writeReport(directory);
    for (const figure of ["critical-sharpness", "loss"]) {
      const svg = read(directory, `figures/${figure}.svg`);
      expect(elements(svg, "border", "line")).toBe(1);
      for (const name of ["10", "20", "final", "best"]) expect(svg).toContain(`>${name}</text>`);
      const className = figure === "loss" ? "loss-line" : "critical-line";
      const line = new RegExp(`class="${className}"[^>]*>\\s*<path d="([^"]*)"`).exec(svg)?.[1];
      // From the first to the second; the others are points of their own.
      expect(line?.match(/L/g)).toHaveLength(1);
    }
    expect(elements(read(directory, "figures/critical-sharpness.svg"), "critical", "circle")).toBe(4);
    expect(read(directory, "report.html")).toContain("names have no step");
  });

  it("has an arrow at the frame where a bar reaches below a logarithmic axis", async () => {
    const directory = write("arrow", [
      { name: "step10", mean: 10, error: 12 },
      { name: "step20", mean: 100, error: 95 },
      { name: "step30", mean: 2000, error: 100 },
    ]);
    await writeReport(directory);
    const svg = read(directory, "figures/critical-sharpness.svg");
    expect(elements(svg, "critical-arrows", "path")).toBe(2);
    // The low ends: those of the high ones are a group of their own.
    expect(elements(svg, "critical-caps", "path")).toBe(1);
    const bars = /class="critical-bars"[^>]*>(.*?)<\/g>/s.exec(svg)?.[1] ?? "";
    const ends = [...bars.matchAll(/ y[12]="([\d.]+)"/g)].map(([, end]) => Number(end));
    const [frame] = /<rect[^>]*aria-label="frame"[^>]*>/.exec(svg) ?? [""];
    const [top, height] = ["y", "height"].map((name) =>
      Number(new RegExp(` ${name}="([\\d.]+)"`).exec(frame)?.[1]),
    );
    expect(ends).toHaveLength(6);
    const [low, high] = [Math.min(...ends), Math.max(...ends)];
    expect(low).toBeGreaterThan(top as number);
    expect(high).toBeCloseTo((top as number) + (height as number), 0);
    expect(read(directory, "report.html")).toContain("An arrow is a bar");
  });

  it("has a line of its table for each checkpoint and each part", async () => {
    const parts = { attention: 7, mlp: null };
    const directory = write("parts", [{ name: 'step10 "a", b', mean: 100, parts }], { parts: ["kinds"] });
    const report = await writeReport(directory);
    const [head, ...rows] = read(directory, "metrics.csv").trimEnd().split("\n");
    expect(head?.split(",").slice(0, 6)).toEqual(
      "checkpoint,step,tokens,part,criticalSharpness,standardError".split(","),
    );
    expect(rows.map((row) => row.split(",").slice(-18).slice(0, 3))).toEqual([
      ["all", "100", "10"],
      ["attention", "7", "0.7"],
      ["mlp", "Infinity", ""],
    ]);
    expect(rows[0]).toMatch(/^"step10 ""a"", b",10,,all,/);
    const map = readFileSync(report.figures["critical-sharpness-by-kinds"]?.svg as string, "utf8");
    expect(elements(map, "cells", "rect")).toBe(2);
    expect(map).toContain("∞ (non-descent)");
  });

  it("has maps of blocks in the model's order, from a series that has both", async () => {
    const parts = {
      embeddings: 1,
      "layer 0": 2,
      "layer 1": 3,
      "last norm": 4,
      attention: 5,
      mlp: 6,
      norms: 7,
    };
    const directory = write(
      "both",
      [
        { name: "step10", mean: 9, parts },
        { name: "step20", mean: 9, parts },
      ],
      {
        parts: ["blocks", "kinds"],
      },
    );
    const { figures } = await writeReport(directory);
    const rowsOf = (by: string) => {
      const svg = readFileSync(figures[`critical-sharpness-by-${by}`]?.svg as string, "utf8");
      return elements(svg, "cells", "rect") / 2;
    };
    expect([rowsOf("blocks"), rowsOf("kinds")]).toEqual([4, 4]);
  });

  it("tells what failed, unless it was measured after all", async () => {
    const failed = (name: string) => ({
      type: "failure",
      checkpoint: `/models/${name}`,
      message: `no ${name}`,
    });
    const directory = write("failed", checkpoints, {}, [failed("broken"), failed("step10")]);
    await writeReport(directory);
    const html = read(directory, "report.html");
    expect(html).toContain("no broken");
    expect(html).not.toContain("no step10");
  });

  it("is refused where no checkpoint was measured, or a record is none", async () => {
    await expect(writeReport(write("empty", []))).rejects.toEqual(
      failure("ERR_RUN_DIRECTORY", "at least one checkpoint"),
    );
    const damaged = write("damaged", checkpoints, {}, [{ type: "checkpoint", checkpoint: "a" }]);
    await expect(writeReport(damaged)).rejects.toEqual(failure("ERR_RUN_DIRECTORY", "line 5"));
    const changed = write("changed", checkpoints, { measure: -1 });
    await expect(writeReport(changed)).rejects.toEqual(failure("ERR_CONFIGURATION", "measure"));
  });
});
