import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { createModel } from "../../lib/index.js";
import { makeProbes } from "../experiments/probes-helpers.js";
import { float32, pack } from "../models/files.js";
import { openPage, root } from "./page.js";

const { text, folder, node, blocks, run, checkLinks } = openPage("README", root);
const place = (...names: string[]) => path.join(folder, ...names);
const sizes = { hidden_size: 8, intermediate_size: 12, num_hidden_layers: 1, num_attention_heads: 2 };

/** The commands of the page, each in one line and without its comment. */
const commands = blocks("sh").flatMap((code) =>
  code
    .replace(/ *\\\n */g, " ")
    .split("\n")
    .map((line) => line.replace(/ +#.*/, ""))
    .filter((line) => line !== ""),
);

function example(code: string | undefined): string[] {
  writeFileSync(place("example.mjs"), code as string);
  return node([place("example.mjs")])
    .trim()
    .split("\n");
}

const writeJson = (name: string, value: unknown) => writeFileSync(place(name), JSON.stringify(value));

/** What its commands name, as small as can be: a run, a model and its adapter, texts, a mix, a program, probes. */
beforeAll(async () => {
  const config = { model_type: "llama", vocab_size: 256, max_position_embeddings: 32, ...sizes } as const;
  for (const [seed, name] of ["base", "output_dir/checkpoint-10", "output_dir/checkpoint-20"].entries()) {
    using model = await createModel(config, { seed });
    await model.save(place(name));
  }
  for (const [i, step] of [10, 20].entries())
    writeJson(`output_dir/checkpoint-${step}/trainer_state.json`, {
      log_history: [{ step, learning_rate: 1e-3 * (i + 1) }],
    });
  mkdirSync(place("adapter"));
  const waves = (step: number) => Float32Array.from({ length: 16 }, (_, i) => Math.sin(step * (i + 1)));
  const half = (letter: string) => `base_model.model.model.layers.0.self_attn.q_proj.lora_${letter}.weight`;
  const halves = { [half("A")]: float32([2, 8], waves(0.7)), [half("B")]: float32([8, 2], waves(1.3)) };
  writeFileSync(place("adapter/adapter_model.safetensors"), pack(halves));
  writeJson("adapter/adapter_config.json", { peft_type: "LORA", r: 2, lora_alpha: 8 });
  for (const [name, word] of Object.entries({ train: "one", old: "two", new: "three" })) {
    const line = (i: number) =>
      JSON.stringify({ text: `Once upon a time ${i} frogs met ${word} in a pond.` });
    writeFileSync(place(`${name}.jsonl`), Array.from({ length: 200 }, (_, i) => `${line(i)}\n`).join(""));
  }
  writeJson("mix.json", {
    ...{ model: "base", sources: { old: { data: "old.jsonl" }, new: { data: "new.jsonl" } }, vary: "old" },
    ...{ ratios: [0, 0.5, 1], batch: { size: 4, sequence: 16 }, accumulate: 2, repeats: 2 },
  });
  const fixture = path.join(root, "test/models/programs/fixtures/mlp");
  copyFileSync(`${fixture}.pt2`, place("model.pt2"));
  copyFileSync(`${fixture}.safetensors`, place("batch.safetensors"));
  await makeProbes(place("probes"), 2);
});

describe("README", () => {
  const [train, search] = blocks("js");

  it("embedding example: trains and measures at every step", () => {
    const lines = example(train);
    expect(lines).toHaveLength(20);
    const losses = lines.map((line) => Number(line.split(" ")[1]));
    expect(losses.at(-1)).toBeLessThan((losses[0] as number) - 1);
    for (const line of lines) expect(line).toMatch(/^\d+ \d\.\d{3} λc \d+\.\d converged$/);
  });

  it("search example: finds ηc of a parabola", () => {
    expect(Math.abs(Number(example(search)[0]) - 0.5)).toBeLessThan(0.5 / 16);
  });

  /** How each of its commands ends, on what the test made. One that waits for more is told not to. */
  const ends: [command: string, output: RegExp, more?: string][] = [
    ["checkpoints output_dir --data train.jsonl", /^\d of 2 checkpoints above 2\/η/m],
    [
      "along base --to adapter --data old=old.jsonl new=new.jsonl",
      /^adapter +loss +ηc +within 1 %\n {2}old /,
    ],
    ["mix mix.json --out runs/mix", /ratio +λc of old +λc of new\n/],
    ["measure model.pt2 --batch batch.safetensors", /^λc +\d/m],
    ["watch-probes probes", /^\d of \d probed steps above 2\/η$/m, " --once"],
    ["doctor", /libtorch/],
  ];
  it.each(ends)("runs critical-sharpness %s", (command, output, more = "") => {
    expect(run(`critical-sharpness ${command}${more}`)).toMatch(output);
  });

  it("has no other commands but npm's, and the two that do everything", () => {
    const own = commands.filter((line) => !line.startsWith("npm "));
    expect(own.map((line) => line.replace(/^(npx )?critical-sharpness /, ""))).toEqual(
      expect.arrayContaining(ends.map(([command]) => command)),
    );
    expect(own).toHaveLength(ends.length);
    expect(commands.filter((line) => line.startsWith("npm "))).toEqual([
      "npm install critical-sharpness",
      "npm ci && npm run quickstart",
      "npm ci && npm test",
    ]);
    const { scripts } = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8"));
    for (const [, name] of text.matchAll(/npm run ([\w:]+)/g))
      expect(scripts).toHaveProperty([name as string]);
  });

  it("names every command that there is, and flags that there are", () => {
    const all = [...run("critical-sharpness --help").matchAll(/^ {2}([a-z-]+) \[options\]/gm)].map(
      ([, name]) => name as string,
    );
    expect(all.length).toBeGreaterThan(10);
    for (const name of all) expect(text).toContain(`\`${name}\``);
    const help = all.map((name) => run(`critical-sharpness ${name} --help`)).join("");
    for (const [flag] of text.matchAll(/--[a-z][a-z-]+/g)) expect(`${help} --help`, flag).toContain(flag);
  });

  it("shows pictures and links to files that are there", () => {
    checkLinks();
    const pictures = [...text.matchAll(/<img src="([^"]+)"/g)].map(([, file]) => file as string);
    expect(pictures).toHaveLength(4);
    for (const file of pictures) expect(existsSync(path.join(root, file)), file).toBe(true);
  });
});
