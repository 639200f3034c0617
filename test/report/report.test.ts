import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { writeReport } from "../../lib/experiments/index.js";
import { writeWhole } from "../../lib/files/file.js";
import type { Report } from "../../lib/report/index.js";
import { find, landscape, measurement, step, temporaryFolder, writeRun } from "./helpers.js";

const folder = temporaryFolder();
const place = (name: string) => path.join(folder, name);

const records = [
  step(1, { measurement: measurement(18) }),
  step(2, { measurement: measurement(Infinity, 0) }),
  landscape,
  step(3, { measurement: measurement(0, 9) }),
  step(4, { measurement: measurement(22, 4) }),
  { type: "validation", step: 4, loss: 0.5 },
];

/** Every file of a directory, with the folders that it lies in. */
function files(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(directory, path.join(entry.parentPath, entry.name)))
    .sort();
}

function digests(directory: string): string[] {
  return files(directory).map((file) => {
    const content = readFileSync(path.join(directory, file));
    return `${file} ${createHash("sha256").update(content).digest("hex")}`;
  });
}

function pngSize(file: string): { width: number; height: number } {
  const bytes = readFileSync(file);
  expect(bytes.subarray(0, 8)).toEqual(Buffer.from("\x89PNG\r\n\x1a\n", "latin1"));
  return { width: bytes.readUInt32BE(16), height: bytes.readUInt32BE(20) };
}

describe("a report", () => {
  const directory = place("run");
  let report: Report;
  let html: string;
  beforeAll(async () => {
    report = await writeReport(writeRun(directory, records));
    html = readFileSync(report.html, "utf8");
  });

  it("names the files that it wrote, and wrote no other", () => {
    const named = [report.html, report.png, report.csv].concat(
      Object.values(report.figures).flatMap(({ svg, png }) => [svg, png]),
    );
    const before = ["config.json", "metrics.jsonl"];
    expect(
      named
        .map((file) => path.relative(directory, file))
        .concat(before)
        .sort(),
    ).toEqual(files(directory));
    expect(Object.keys(report.figures)).toEqual([
      "critical-sharpness",
      "loss",
      "learning-rate",
      "loss-along-update",
      "forward-passes",
    ]);
  });
  it("has pictures of a sensible size", () => {
    const overview = pngSize(report.png);
    expect(overview.width).toBe(1920);
    expect(overview.height).toBeGreaterThan(1500);
    for (const { png } of Object.values(report.figures))
      expect(pngSize(png)).toEqual({ width: 1520, height: 840 });
  });
  it("is a page that needs no network, no script and no other file", () => {
    const own = html.replaceAll('xmlns="http://www.w3.org/2000/svg"', "");
    expect(own.match(/\w+:\/\/|url\(|@import|<script|<link|<img|<iframe| on\w+=/g)).toBeNull();
    expect(find(html, "figure .wide svg")).toHaveLength(5);
  });
  it("links to files that are there", () => {
    const links = find(html, "a").map((a) => a.getAttribute("href") as string);
    expect(links).toHaveLength(13);
    for (const link of links) expect(existsSync(path.join(directory, link)), link).toBe(true);
  });
  it("counts the statuses and tells what they mean", () => {
    const rows = find(html, "tr").map((row) => [...row.children].map((cell) => cell.textContent));
    const row = (name: string) => rows.find(([first]) => first === name);
    expect(row("converged")?.[1]).toBe("2");
    expect(row("non-descent")?.[1]).toBe("1");
    expect(row("unbounded")?.[1]).toBe("1");
    expect(row("Forward passes")?.[1]).toBe("median 3.5, mean 4");
    expect(row("Steps")?.[1]).toBe("4 of 500, 80 examples");
    expect(row("Optimizer")?.[1]).toBe("SGD");
    expect(row("Model")?.[1]).toContain("6 → 16 → 3, tanh");
    expect(row("Begun")?.[1]).toBe("2026-01-02 03:04:05 UTC");
  });
  it("is the same when it is written again", async () => {
    const before = digests(directory);
    await writeReport(directory);
    expect(digests(directory)).toEqual(before);
  });
});

describe("a report of less", () => {
  it("of a run that measured nothing has the figures that there are data for", async () => {
    const { figures, html } = await writeReport(
      writeRun(place("plain"), [step(1), step(2)], { measure: null }),
    );
    expect(Object.keys(figures)).toEqual(["loss", "learning-rate"]);
    expect(readFileSync(html, "utf8")).not.toContain("non-descent");
  });
  it("escapes what a configuration says", async () => {
    const data = { type: "text", files: ['<b>&".txt'] };
    const model = { model_type: "gpt2", n_layer: 1, n_embd: 8, n_head: 1, n_positions: 32 };
    const { html } = await writeReport(writeRun(place("odd"), [step(1)], { data, model }));
    const cells = find(readFileSync(html, "utf8"), "td").map(({ textContent }) => textContent);
    expect(cells).toContain('text (<b>&".txt), bytes as tokens');
    expect(cells).toContain("20 sequences of 32 tokens");
  });
});

describe("writing", () => {
  it("says so where it cannot, and leaves what was there", async () => {
    const directory = writeRun(place("blocked"), records);
    writeFileSync(path.join(directory, "figures"), "a file");
    const error = await writeReport(directory).catch((reason) => reason);
    expect(error.code).toBe("ERR_RUN_DIRECTORY");
    expect(error.message).toMatch(/^Expected a directory that can be written for the report of /);
    expect(readFileSync(path.join(directory, "figures"), "utf8")).toBe("a file");
  });
  it("leaves no part of a file that could not be put in its place", async () => {
    mkdirSync(place("taken/name"), { recursive: true });
    await expect(writeWhole(place("taken/name"), "text")).rejects.toThrow();
    expect(readdirSync(place("taken"))).toEqual(["name"]);
  });
});
