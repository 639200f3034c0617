import { existsSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { createModel, Direction } from "../../lib/index.js";
import { command, temporaryFolder } from "./helpers.js";

const folder = temporaryFolder();
const place = (...names: string[]) => path.join(folder, ...names);
const config = {
  model_type: "gpt2",
  vocab_size: 256,
  n_positions: 16,
  n_embd: 8,
  n_layer: 1,
  n_head: 2,
} as const;

beforeAll(async () => {
  using model = await createModel(config, { seed: 1 });
  await model.save(place("base"));
  using other = await Direction.random(model, { seed: 2 });
  using small = await other.scale(0.05);
  await model.step(small, 1);
  await model.save(place("tuned"));
  await small.save(place("delta.safetensors"));
  const sentence = "It was the best of times, it was the worst of times. ";
  writeFileSync(place("prose.txt"), sentence.repeat(20));
  writeFileSync(place("more.txt"), sentence.toUpperCase().repeat(20));
  writeFileSync(place("sums.jsonl"), `${JSON.stringify({ q: "2+2=", a: "4" })}\n`.repeat(60));
});

const sizes = ["--batch-size", "2", "--batches", "2", "--sequence", "8", "--points", "3"];
const data = ["--data", `prose=${place("prose.txt")}`, place("more.txt"), `sums=${place("sums.jsonl")}`];

describe("along", () => {
  it("compares ways to a model and to a file of Δ, of texts by name, and of parts", async () => {
    const others = ["--to", place("tuned"), place("delta.safetensors")];
    const out = ["--out", place("out")];
    const template = ["--template", "sums={q}{a}"];
    const args = ["along", place("base"), ...others, ...data, ...sizes, ...template, "--per-kind", ...out];
    const { code, stdout, stderr } = await command([...args, "--json"]);
    expect(code, stderr).toBe(0);
    const { ways, files } = JSON.parse(stdout);
    expect(ways.map(({ name }: { name: string }) => name)).toEqual(["tuned", "delta.safetensors"]);
    // The way is the same, but for rounding.
    for (const text of ["prose", "sums"])
      expect(ways[1].texts[text].allowed.mean / ways[0].texts[text].allowed.mean).toBeCloseTo(1, 2);
    expect(Object.keys(ways[0].texts)).toEqual(["prose", "sums"]);
    expect(Object.keys(ways[0].parts)).toEqual(["embeddings", "norms", "attention", "mlp"]);
    expect(ways[0].sentence).toMatch(/prose .*sums|sums .*prose/);
    expect(Object.keys(files.figures)).toEqual(["along-1", "along-2"]);
    const { json, csv, html } = files;
    expect(JSON.parse(readFileSync(json, "utf8")).ways).toEqual(ways);
    const lines = readFileSync(csv, "utf8").trim().split("\n");
    expect(csv).toBe(place("out", "along.csv"));
    // Two ways, the whole and four parts, two texts of two batches.
    expect(lines).toHaveLength(1 + 2 * 5 * 2 * 2);
    expect(readFileSync(html, "utf8")).toContain("Comparison");
    expect(existsSync(place("out", "figures", "along-2.png"))).toBe(true);
    const plain = await command(["along", place("base"), "--to", place("tuned"), ...prose, ...sizes, ...out]);
    expect(plain.code, plain.stderr).toBe(0);
    expect(plain.stdout).toMatch(/tuned +loss +ηc +within 1 %\n {2}prose /);
    expect(plain.stdout).toContain(path.join("figures", "along.svg"));
  });

  const prose = ["--data", `prose=${place("prose.txt")}`];
  it("says that a model is the same, and what is no text", async () => {
    const same = await command(["along", place("base"), "--to", place("base"), ...prose, ...sizes]);
    expect(same).toMatchObject({ code: 1, stdout: "" });
    expect(same.stderr).toContain("Expected another model for");
    const usage = async (args: string[], said: string) => {
      const { code, stderr } = await command(["along", place("base"), "--to", place("tuned"), ...args]);
      expect(code).toBe(2);
      expect(stderr).toContain(said);
    };
    await usage([], "Expected --data NAME=FILES or --batch NAME=FILE but received neither");
    await usage(["--data", place("prose.txt")], "Expected NAME=FILE for --data");
    await usage(["--data", "a=x.txt", "a=y.txt"], "Expected each name once");
    await usage(["--data", "a=x.txt", "--batch", "a=y.safetensors"], "Expected each text once");
    await usage([...data, "--allow", "0"], "Expected a number > 0");
  });
});
