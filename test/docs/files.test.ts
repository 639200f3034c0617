import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { multipleChoiceQuestions, type TokenStream } from "../../lib/data/index.js";
import { openData } from "../../lib/data/open-data.js";
import { parseConfiguration } from "../../lib/experiments/index.js";
import { AdamW, Direction, loadBatch, loadBatches, loadModel } from "../../lib/index.js";
import { oraclePython } from "../oracle.js";
import { openPage } from "./page.js";

const page = openPage("files");
const at = (name: string) => path.join(page.folder, name);
const python = (code: string) =>
  execFileSync(oraclePython as string, ["-"], { cwd: page.folder, input: code, encoding: "utf8" });

/** A run on what the page made. */
const run = (data: object, more: object = {}) => ({
  model: { directory: at("model") },
  data,
  batch: { size: 2, sequence: 16 },
  optimizer: { type: "adamw", learningRate: 1e-3 },
  steps: 2,
  landscape: null,
  ...more,
});
async function tokensOf(data: object): Promise<number[]> {
  const { data: section } = parseConfiguration(run(data));
  await using stream = (await openData(section, 0)) as TokenStream;
  return Array.from(await stream.read(0, stream.length));
}

it("links to what is there", () => page.checkLinks());

describe.skipIf(oraclePython === undefined)("what the page's Python makes is read:", () => {
  const blocks = page.blocks("python");
  const hasDatasets = () =>
    python("import importlib.util as u; print(u.find_spec('datasets'))").trim() !== "None";

  // Importing PyTorch, transformers and datasets takes minutes on a machine that is busy.
  it("all of it runs", () => {
    const left = hasDatasets() ? /metrics\.jsonl/ : /metrics\.jsonl|datasets/;
    const made = blocks.filter((code) => !left.test(code));
    expect(made.length).toBeGreaterThan(10);
    python(made.join("\n"));
    expect(readdirSync(page.folder)).toContain("questions.jsonl");
  }, 600_000);

  it("model, batches, direction and optimizer state", async () => {
    using model = await loadModel(at("model"));
    for (const file of ["batch.safetensors", "padded.safetensors"]) {
      using batch = await loadBatch(at(file));
      expect(await model.loss(batch)).toBeCloseTo(Math.log(256), 0);
    }
    using plain = await loadModel(at("plain"));
    expect(await plain.digest()).toBe(await model.digest());
    const batches = await loadBatches(at("batches.safetensors"));
    expect(batches).toHaveLength(2);
    for (const batch of batches) batch.dispose();
    using examples = await loadBatch(at("examples.safetensors"));
    expect(examples.count).toBe(10);
    using direction = await Direction.load(at("direction.safetensors"), model);
    using own = await loadBatch(at("batch.safetensors"));
    // Taken before the optimizer's step; the model was saved before it too.
    const { gradient } = await model.gradient(own);
    expect(Math.abs((await direction.dot(gradient)) / (await gradient.dot(gradient)) - 1)).toBeLessThan(1e-3);
    const optimizer = new AdamW(model, { learningRate: 1e-3 });
    await optimizer.load(at("optimizer.safetensors"));
    expect(optimizer.steps).toBe(1);
    gradient.dispose();
    optimizer.dispose();
  });

  it("tokens, the same ones from each kind of file", async () => {
    const tokens = await tokensOf({ files: [at("tokens.npy")] });
    expect(tokens).toHaveLength(10_000);
    expect(Math.max(...tokens)).toBeLessThan(256);
    expect(await tokensOf({ files: [at("tokens.bin")] })).toEqual(tokens);
    expect(await tokensOf({ files: [at("shard.bin")] })).toEqual(tokens);
    expect(await tokensOf({ files: [at("uint32.bin")], dtype: "uint32" })).toEqual(tokens);
    await expect(tokensOf({ files: [at("uint32.bin")] })).rejects.toThrow("--token-type uint32");
    expect(await tokensOf({ files: [at("ids.jsonl")], field: "input_ids" })).toEqual(tokens);
    expect(await tokensOf({ files: [at("ids.jsonl")] })).toEqual(tokens);
  });

  it("texts", async () => {
    const expected = [...Buffer.from("to be or not to be\n\nthat is the question\n\n")];
    const kinds = ["texts.jsonl", "texts.json", ...(hasDatasets() ? ["dataset"] : [])];
    for (const name of kinds) expect(await tokensOf({ files: [at(name)] })).toEqual(expected);
    const [question] = await multipleChoiceQuestions([at("questions.jsonl")]);
    expect(question).toEqual({ question: "What is to be?", choices: ["this", "that"], answer: 1 });
  });

  it("and what a run writes is read by Python", () => {
    writeFileSync(at("run.json"), JSON.stringify(run({ files: ["tokens.npy"] })));
    page.run("critical-sharpness train run.json --out runs/first");
    const reading = blocks.filter((code) => /metrics\.jsonl/.test(code));
    expect(reading).toHaveLength(1);
    const measured = JSON.parse(python(`import json\n${reading[0]}`)) as number[];
    const records = readFileSync(at("runs/first/metrics.jsonl"), "utf8").trimEnd().split("\n");
    expect(measured).toEqual(
      records.flatMap((line) => JSON.parse(line).measurement?.criticalSharpness ?? []),
    );
    expect(measured).toHaveLength(2);
    for (const name of ["config.json", "checkpoint", "report.html", "report.png", "figures", "metrics.csv"])
      expect(existsSync(at(`runs/first/${name}`)), name).toBe(true);
  });
});
