import type { execFileSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { openPage, root } from "./page.js";

const { text, folder, node, blocks, run, checkLinks } = openPage("check");
const results = (name: string) => readFileSync(path.join(root, `bench/results/${name}.md`), "utf8");

beforeAll(() => {
  const example = JSON.parse(readFileSync(path.join(root, "examples/checkpoints.json"), "utf8"));
  Object.assign(example.model, { n_embd: 16, n_layer: 2, n_head: 2, n_positions: 32 });
  Object.assign(example, { steps: 200, measure: null, landscape: null });
  example.checkpoint.every = 200;
  writeFileSync(path.join(folder, "examples/checkpoints.json"), JSON.stringify(example));
  run("critical-sharpness train examples/checkpoints.json --out runs/gpt");
}, 120_000);

describe("the page on learning rates", () => {
  it("has a command that answers", () => {
    const [command = ""] = blocks("sh");
    // An answer is an exit code, too.
    let out: string;
    try {
      out = run(command.trim());
    } catch (error) {
      const { status, stdout } = error as ReturnType<typeof execFileSync> & {
        status: number;
        stdout: string;
      };
      expect(status).toBe(3);
      out = stdout;
    }
    expect(out).toMatch(/ηc = [\d.]+ \([\d.]+ to [\d.]+\)/);
    expect(out).toContain("docs/check.md");
    expect(existsSync(path.join(folder, "check/figures/step.png"))).toBe(true);
  });

  it("does the same in code", () => {
    const [code] = blocks("js");
    writeFileSync(path.join(folder, "example.mjs"), code as string);
    expect(node(["example.mjs"])).toMatch(/^(below|above|undecided) [\d.e-]+ [\d.e-]+\n$/);
  });

  it("has the figures of the sweeps", () => {
    const rows = [...text.matchAll(/^\| (?:below|undecided|above|\d+ (?:to|and) \w+) \|.*$/gm)].map(
      ([row]) => row,
    );
    expect(rows.length).toBe(9);
    // The page leaves the spikes out of the table.
    const measured = results("check").replace(
      /^(\| (?:below|undecided|above) \| \d+ \|[^|]*\|)[^|]*\|/gm,
      "$1",
    );
    for (const row of rows) expect(measured).toContain(row);
    for (const figure of ["0.933", "0.354", "48 of 56", "54 of 56", "11 of 72", "26 of 29", "41 of 54"]) {
      expect(results("check")).toContain(figure);
      expect(text).toContain(figure.replace("54 of 56", "in 54"));
    }
  });

  it("has the figures of the warm-ups", () => {
    const measured = results("critical-warmup");
    const cells = [...text.matchAll(/\d\.\d{4} ± \d\.\d{4}/g)].map(([cell]) => cell);
    expect(cells.length).toBe(24);
    for (const cell of cells) expect(measured).toContain(cell);
  });

  it("links to what is there, and names flags that there are", () => {
    checkLinks();
    const help = run("critical-sharpness check --help");
    for (const [flag] of text.matchAll(/--[a-z][a-z-]+/g)) expect(help, flag).toContain(flag);
  });
});
