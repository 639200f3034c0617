import { existsSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { openPage, root } from "./page.js";

const { text, folder, node, blocks, run, checkLinks } = openPage("checkpoints");

/** As the page has it, but of few steps and batches. */
const small = (code: string) =>
  code
    .replace(/^(critical-sharpness train .*)$/m, "$1 --steps 8 --every 0")
    .replace(/(accumulate:? )20/, "$12")
    .replace(/(measure:? )10/, "$12");

beforeAll(() => {
  // The page's own, but for its size.
  const example = JSON.parse(readFileSync(path.join(root, "examples/checkpoints.json"), "utf8"));
  Object.assign(example.model, { n_embd: 16, n_layer: 2, n_head: 2, n_positions: 32 });
  example.checkpoint.every = 4;
  writeFileSync(path.join(folder, "examples/checkpoints.json"), JSON.stringify(example));
});

describe("the page on checkpoints", () => {
  const [train, measure, report] = blocks("sh").map(small);

  it("trains a model that leaves checkpoints", () => {
    run(train as string);
    for (const step of [4, 8])
      expect(existsSync(path.join(folder, `runs/gpt/checkpoints/step${step}/model.safetensors`))).toBe(true);
  });

  it("measures them and writes what it says", () => {
    const out = run(measure as string);
    expect(out).toMatch(/^step4 +[\d.]+ .*\nstep8 +[\d.]+ /m);
    const files = ["report.html", "report.png", "figures", "metrics.csv", "metrics.jsonl"];
    for (const file of files)
      expect(existsSync(path.join(folder, "runs/gpt-curvature", file)), file).toBe(true);
    expect(run(report as string)).toContain("report.html");
  });

  it("does the same in code", () => {
    const [code] = blocks("js").map(small);
    const file = path.join(folder, "example.mjs");
    writeFileSync(file, code as string);
    const lines = node([file]).trim().split("\n");
    expect(lines).toHaveLength(2);
    for (const line of lines) expect(line).toMatch(/^(4|8) [\d.]+ [\d.]+ [\d.]+$/);
  });

  it("links to what is there, and names flags that there are", () => {
    checkLinks();
    const help = run("critical-sharpness checkpoints --help");
    for (const [flag] of text.matchAll(/--[a-z][a-z-]+/g)) expect(help, flag).toContain(flag);
  });
});
