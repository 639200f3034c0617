import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { writeSafetensors } from "../../lib/files/index.js";
import { createModel } from "../../lib/index.js";
import { gptRun } from "../experiments/helpers.js";
import { makeMix } from "../experiments/mix-helpers.js";
import { openPage } from "./page.js";

const { folder, node, blocks, run, checkLinks } = openPage("ranks");
const place = (...names: string[]) => path.join(folder, ...names);

/** Small ones in place of the page's: checkpoints, of which one is the model, a batch, a text. */
beforeAll(async () => {
  using model = await createModel(
    {
      model_type: "llama",
      vocab_size: 256,
      hidden_size: 96,
      intermediate_size: 200,
      num_hidden_layers: 2,
      num_attention_heads: 2,
      max_position_embeddings: 64,
    },
    { seed: 1 },
  );
  mkdirSync(place("runs"));
  for (const name of ["model", "runs/step1", "runs/step2"]) await model.save(place(name));
  const ids = Int32Array.from({ length: 4 * 17 }, (_, i) => 97 + ((i * i) % 23));
  const tensor = (name: string, data: Int32Array) => ({
    name,
    dtype: "int32" as const,
    shape: [4, 16],
    read: async (offset: number, length: number) =>
      data.slice().buffer.slice(offset, Math.min(offset + length, data.byteLength)),
  });
  await writeSafetensors(
    place("batch.safetensors"),
    [tensor("input_ids", ids.slice(0, 64)), tensor("labels", ids.slice(1, 65))],
    {},
  );
  const text = Array.from({ length: 60 }, (_, i) =>
    JSON.stringify({ text: `${i} frogs met in pond ${i * i}.` }),
  );
  writeFileSync(place("text.jsonl"), text.join("\n"));
});

describe("the page on several processes", () => {
  const commands = blocks("sh").map((code) => code.trim());

  it("has a program that gives two ranks the number of one", { timeout: 120_000 }, () => {
    const [program = ""] = blocks("js");
    writeFileSync(place("measure.mjs"), program);
    const alone = node([place("measure.mjs")]);
    expect(Number(alone)).toBeGreaterThan(0);
    const [, launch = ""] = commands;
    expect(launch).toMatch(/^critical-sharpness launch --ranks 2 -- node measure\.mjs$/);
    expect(run(launch)).toBe(alone);
  });

  it("measures checkpoints, trains and mixes over two ranks", { timeout: 120_000 }, async () => {
    const [series = "", train = "", mix = ""] = (commands[0] as string).split("\n");
    run(
      `${series} --tokenizer bytes --sequence 16 --batch-size 4 --micro-batch 1 --accumulate 1 --measure 1`,
    );
    const typesIn = (directory: string) =>
      readFileSync(place(directory, "metrics.jsonl"), "utf8")
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line).type);
    expect(typesIn("series")).toEqual(["batch", "checkpoint", "batch", "checkpoint"]);
    writeFileSync(place("run.json"), JSON.stringify({ ...gptRun("text.jsonl"), steps: 2, landscape: null }));
    run(train);
    expect(typesIn("runs/run")).toEqual(["step", "step", "validation"]);
    const { configuration } = await makeMix(place("mix"));
    writeFileSync(place("mix.json"), JSON.stringify(configuration));
    run(mix);
    expect(typesIn("runs/mix").filter((type) => type === "repeat")).toHaveLength(2);
  });

  it("links to what is there", checkLinks);
});
