import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { writeSafetensors } from "../../lib/files/index.js";
import { createModel, Direction, loadModel } from "../../lib/index.js";
import { openPage } from "./page.js";

const { text, folder, node, blocks, run, checkLinks } = openPage("merging");
const place = (...names: string[]) => path.join(folder, ...names);
const sizes = {
  vocab_size: 256,
  hidden_size: 8,
  intermediate_size: 12,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  max_position_embeddings: 128,
};

const tensors = (entries: Record<string, { shape: number[]; data: Float32Array | Int32Array }>) =>
  Object.entries(entries).map(([name, { shape, data }]) => ({
    name,
    shape,
    dtype: data instanceof Float32Array ? ("float32" as const) : ("int32" as const),
    read: async (offset: number, length: number) =>
      data.buffer.slice(offset, Math.min(offset + length, data.byteLength)) as ArrayBuffer,
  }));

/** Small ones in place of the page's: a model, an adapter, a tuned model, and texts. */
beforeAll(async () => {
  using made = await createModel({ model_type: "llama", ...sizes }, { seed: 1 });
  await made.save(place("stories260k"));
  const waves = (count: number, step: number) =>
    Float32Array.from({ length: count }, (_, i) => Math.sin(step * (i + 1)));
  const halves = [0, 1].flatMap((layer) =>
    ["q_proj", "v_proj"].flatMap((module) => {
      const name = `base_model.model.model.layers.${layer}.self_attn.${module}`;
      return [
        [`${name}.lora_A.weight`, { shape: [2, 8], data: waves(16, 0.7 + layer) }] as const,
        [`${name}.lora_B.weight`, { shape: [8, 2], data: waves(16, 1.3 + layer) }] as const,
      ];
    }),
  );
  mkdirSync(place("adapter"));
  await writeSafetensors(place("adapter/adapter_model.safetensors"), tensors(Object.fromEntries(halves)), {});
  writeFileSync(place("adapter/adapter_config.json"), '{"peft_type": "LORA", "r": 2, "lora_alpha": 8}');
  using model = await loadModel(place("stories260k"));
  using direction = await Direction.random(model, { seed: 3 });
  await model.step(direction, 0.05);
  await model.save(place("tuned"));
  const ids = Int32Array.from({ length: 4 * 17 }, (_, i) => 97 + ((i * i) % 23));
  await writeSafetensors(
    place("stories.safetensors"),
    tensors({
      input_ids: { shape: [4, 16], data: ids.slice(0, 64) },
      labels: { shape: [4, 16], data: ids.slice(1, 65) },
    }),
    {},
  );
  const lines = (record: (i: number) => object) =>
    Array.from({ length: 200 }, (_, i) => `${JSON.stringify(record(i))}\n`).join("");
  writeFileSync(
    place("math.jsonl"),
    lines((i) => ({ question: `What is ${i} + ${i}?`, answer: `${2 * i}` })),
  );
  writeFileSync(
    place("stories.jsonl"),
    lines((i) => ({ text: `Once upon a time ${i} frogs met in a pond.` })),
  );
});

describe("the page on merging", () => {
  const commands = blocks("sh").map((code) => code.trim());

  it("measures an adapter, and compares it with a model, as it says", () => {
    const [one = "", two = "", measure = ""] = commands;
    expect(commands).toHaveLength(3);
    const out = run(one);
    expect(out).toMatch(/^adapter +loss +ηc +within 1 %\n {2}math /);
    expect(out).toMatch(/layer 1, stories/);
    for (const file of ["along.json", "along.csv", "report.html", "figures/along.svg", "figures/along.png"])
      expect(existsSync(place("merging", file)), file).toBe(true);
    const compared = run(two);
    expect(compared).toMatch(/^adapter +loss +ηc +within 5 %\n/);
    expect(compared).toMatch(/\ntuned +loss/);
    expect(run(measure)).toMatch(/budget +.*1 % of the loss/);
  });

  it("does the same in code", () => {
    const [code = ""] = blocks("js");
    writeFileSync(place("example.mjs"), code);
    expect(node([place("example.mjs")])).toMatch(/^(resolved|unbounded) \S+ (resolved|unbounded) \S+\n$/);
  });

  it("links to what is there, and names flags that there are", () => {
    checkLinks();
    const help = run("critical-sharpness along --help") + run("critical-sharpness measure --help");
    for (const [flag] of text.matchAll(/--[a-z][a-z-]+/g)) expect(help, flag).toContain(flag);
  });
});
