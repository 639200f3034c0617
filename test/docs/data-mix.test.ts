import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { openPage, root } from "./page.js";

const { text, folder, node, blocks, run, checkLinks } = openPage("data-mix");
const examples = path.join(folder, "examples/data-mix");

/** The page's own, but for its size. */
function example(name: string, change: (configuration: Record<string, object>) => object): void {
  const configuration = JSON.parse(readFileSync(path.join(root, "examples/data-mix", name), "utf8"));
  writeFileSync(path.join(examples, name), JSON.stringify({ ...configuration, ...change(configuration) }));
}
const few = { ratios: [0, 0.5, 1], batch: { size: 4, sequence: 16 }, evaluate: { size: 4 }, accumulate: 2 };

beforeAll(() => {
  mkdirSync(examples);
  cpSync(path.join(root, "examples/data-mix/prepare.mjs"), path.join(examples, "prepare.mjs"));
  example("pretrain.json", ({ model }) => ({
    model: { ...model, n_embd: 8, n_layer: 1, n_head: 2, n_positions: 16 },
    checkpoint: { every: 8 },
    steps: 8,
  }));
  example("mix.json", ({ train }) => ({
    ...few,
    repeats: 2,
    train: { ...train, ratios: [0, 1], learningRates: [1e-3], steps: 1, batches: 1 },
  }));
});

describe("the page on data mixes", () => {
  const [first = ""] = blocks("sh");
  const commands = first.trim().split("\n");

  it("prepares, trains, measures and validates as it says", () => {
    const [prepare = "", train = "", mix = ""] = commands;
    expect(commands).toHaveLength(3);
    expect(run(prepare)).toContain("old.jsonl: 110 texts");
    run(train);
    const out = run(mix);
    expect(out).toMatch(/ratio +λc of old +λc of new +λc of news +λc of fiction\n/);
    expect(out).toContain("After 1 step ");
    for (const file of [
      "report.html",
      "metrics.jsonl",
      "figures/mix-sharpness.png",
      "figures/loss-change-old.png",
    ])
      expect(existsSync(path.join(folder, "runs/data-mix/mix", file)), file).toBe(true);
  });

  it("has a configuration that is one", () => {
    const [block = ""] = blocks("json");
    const file = path.join(folder, "runs/data-mix/small.json");
    writeFileSync(file, JSON.stringify({ ...JSON.parse(block), ...few }));
    expect(run("critical-sharpness mix runs/data-mix/small.json --repeats 1")).toContain("One repeat");
  });

  it("does the same in code", () => {
    const [code = ""] = blocks("js");
    const file = path.join(folder, "example.mjs");
    writeFileSync(file, code);
    const lines = node([file]).trim().split("\n");
    expect(lines.slice(0, -1)).toHaveLength(3 * 4);
    for (const line of lines.slice(0, -1)) expect(line).toMatch(/^(0|0.5|1) (old|new|news|fiction) \S+$/);
    expect(lines.at(-1)).toMatch(/\.$/);
  });

  it("links to what is there, and names flags that there are", () => {
    checkLinks();
    const help = run("critical-sharpness mix --help");
    for (const [flag] of text.matchAll(/--[a-z][a-z-]+/g)) expect(help, flag).toContain(flag);
  });
});
