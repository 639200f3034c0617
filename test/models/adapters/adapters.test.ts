import { cpSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { Batch, CriticalSharpnessError, Direction, loadModel } from "../../../lib/index.js";
import { readAdapter } from "../../../lib/models/adapters/adapter.js";
import { temporaryFolder } from "../../data/helpers.js";

interface Case {
  input_ids: number[][];
  /** By η, in float64. */
  losses: Record<string, number>;
  norm: number;
  /** Parameters that differ. */
  changed: string[];
}

const place = (...names: string[]) => path.join(import.meta.dirname, ...names);
const cases: Record<string, Case> = JSON.parse(readFileSync(place("cases.json"), "utf8"));

function batchOf({ input_ids: rows }: Case): Batch {
  const width = (rows[0] as number[]).length;
  return Batch.tokens({
    inputIds: rows.flatMap((row) => row.slice(0, -1)),
    labels: rows.flatMap((row) => row.slice(1)),
    shape: [rows.length, width - 1],
    labelsAreShifted: true,
  });
}

const open = async (name: string, dtype: "float64" | "float32" = "float64") => {
  const model = await loadModel(place("cases", name, "base"), { dtype });
  return { model, direction: await Direction.fromAdapter(model, place("cases", name, "adapter")) };
};

describe("Direction.fromAdapter is what PEFT merges", () => {
  it.each(Object.keys(cases))("%s", async (name) => {
    const expected = cases[name] as Case;
    const { model, direction } = await open(name);
    const batch = batchOf(expected);
    // Rotary frequencies are float32 in transformers.
    const close = (value: number, to: number) => expect(Math.abs(value - to)).toBeLessThan(2e-6 * to);
    for (const [eta, loss] of Object.entries(expected.losses)) {
      const perturbation = { direction, learningRate: Number(eta) };
      close(await model.loss(batch, { perturbation }), loss);
    }
    expect(await direction.norm()).toBeCloseTo(expected.norm, 9);
    const parts = await Promise.all(model.parameters.map((p) => direction.mask(p.name).norm()));
    const changed = model.parameters.filter((_, i) => parts[i] !== 0).map((p) => p.name);
    expect(changed.toSorted()).toEqual(expected.changed);
  });

  it("along matrices of low rank alone is not held", async () => {
    const { direction } = await open("plain");
    expect(direction.stored).toBe(false);
  });

  it("of square matrices in GPT-2, whatever the flag says that its last layer left", async () => {
    const folder = path.join(temporaryFolder(), "adapter");
    cpSync(place("cases/gpt2/adapter"), folder, { recursive: true });
    const file = path.join(folder, "adapter_config.json");
    const config = JSON.parse(readFileSync(file, "utf8"));
    expect(config.fan_in_fan_out).toBe(true);
    writeFileSync(file, JSON.stringify({ ...config, fan_in_fan_out: false }));
    const { model } = await open("gpt2");
    const direction = await Direction.fromAdapter(model, folder);
    const perturbation = { direction, learningRate: 1 };
    const { losses } = cases.gpt2 as Case;
    expect(await model.loss(batchOf(cases.gpt2 as Case), { perturbation })).toBeCloseTo(
      losses["1.0"] as number,
      6,
    );
  });

  it("of a model in bfloat16", async () => {
    const { losses } = cases.saved as Case;
    const place32 = await open("saved", "float32");
    const batch = batchOf(cases.saved as Case);
    const perturbation = { direction: place32.direction, learningRate: 1 };
    expect(await place32.model.loss(batch, { perturbation })).toBeCloseTo(losses["1.0"] as number, 5);
    const model = await loadModel(place("cases/saved/base"), { parameterDtype: "bfloat16" });
    const direction = await Direction.fromAdapter(model, place("cases/saved/adapter"));
    const loss = await model.loss(batch, { perturbation: { direction, learningRate: 1 } });
    expect(Math.abs(loss - (losses["1.0"] as number))).toBeLessThan(0.05);
  });
});

it("readAdapter tells pairs and saved parameters of no model", async () => {
  const { config, pairs, saved } = await readAdapter(place("cases/patterns/adapter"));
  expect(config.base).toBe("../base");
  expect(saved).toEqual([]);
  const of = (name: string) => pairs.find((pair) => pair.name === `model.layers.1.${name}.weight`);
  expect(of("self_attn.o_proj")).toMatchObject({ rank: 3, scale: 4 / 3, transposed: false });
  expect(of("mlp.up_proj")).toMatchObject({ rank: 1, scale: 4 });
  expect(of("mlp.down_proj")).toMatchObject({ rank: 2, scale: 3.75 });
  expect(of("self_attn.v_proj")).toMatchObject({ rank: 2, scale: 0.5 });
  expect(of("self_attn.q_proj")).toMatchObject({ rank: 4, scale: 1 });
});

describe("an adapter that cannot be used is refused by name", () => {
  const folder = temporaryFolder();
  let copies = 0;
  async function refused(name: string, change: (adapter: string) => void, ...said: string[]) {
    const adapter = path.join(folder, `${copies++}`);
    cpSync(place("cases", name, "adapter"), adapter, { recursive: true });
    change(adapter);
    using model = await loadModel(place("cases", name, "base"));
    const error = await Direction.fromAdapter(model, adapter).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(CriticalSharpnessError);
    expect((error as CriticalSharpnessError).code).toBe("ERR_ADAPTER");
    for (const text of said) expect((error as Error).message).toContain(text);
  }
  const configured = (change: object) => (adapter: string) => {
    const file = path.join(adapter, "adapter_config.json");
    writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, "utf8")), ...change }));
  };

  it.each([
    [{ use_dora: true }, "use_dora true"],
    [{ lora_bias: true }, "lora_bias true"],
    [{ use_qalora: true }, "use_qalora true"],
    [{ layer_replication: [[0, 2]] }, "layer_replication [[0,2]]"],
    [{ trainable_token_indices: [1, 2] }, "trainable_token_indices [1,2]"],
    [{ target_parameters: ["experts"] }, 'target_parameters ["experts"]'],
    [{ alora_invocation_tokens: [3] }, "alora_invocation_tokens [3]"],
    [{ something_new: 1 }, "something_new 1"],
    [{ init_lora_weights: "pissa" }, 'init_lora_weights "pissa"'],
    [{ peft_type: "IA3" }, 'peft_type "IA3"'],
    [{ r: 3 }, "rank 3"],
    [{ r: "4" }, "Expected a finite number for r but received"],
    [{ rank_pattern: { "(a+)+": 4 } }, "repeated groups"],
    [{ alpha_pattern: { "(": 4 } }, "regular expressions"],
  ])("%j", async (change, said) => {
    await refused("plain", configured(change), said);
  });

  it("pickled tensors, none at all, and those of other models", async () => {
    const tensors = (adapter: string) => path.join(adapter, "adapter_model.safetensors");
    const pickled = (adapter: string) => {
      rmSync(tensors(adapter));
      writeFileSync(path.join(adapter, "adapter_model.bin"), "");
    };
    await refused("plain", pickled, "adapter_model.bin", "save_pretrained");
    await refused("plain", (adapter) => rmSync(adapter, { recursive: true }), "without adapter_config.json");
    const other = (name: string) => (adapter: string) =>
      cpSync(place("cases", name, "adapter"), adapter, { recursive: true });
    await refused("plain", other("gpt2"), "transformer.h.0.attn.c_attn.weight", "none of them");
    await refused("plain", other("embedding"), "ties them");
    await refused("plain", other("saved"), "ties them");
    await refused("gpt2", (adapter) => writeFileSync(path.join(adapter, "adapter_config.json"), "{"), "JSON");
  });

  it("shapes that are another model's, and frozen parameters", async () => {
    const wide = { model_type: "llama", vocab_size: 24, hidden_size: 16, intermediate_size: 12 } as const;
    const { createModel } = await import("../../../lib/index.js");
    using model = await createModel({
      ...wide,
      num_hidden_layers: 2,
      num_attention_heads: 2,
      tie_word_embeddings: true,
    });
    const adapter = place("cases/plain/adapter");
    await expect(Direction.fromAdapter(model, adapter)).rejects.toThrow("the adapter is another model's");
    using frozen = await loadModel(place("cases/plain/base"), { trainable: ["*norm*"] });
    await expect(Direction.fromAdapter(frozen, adapter)).rejects.toThrow("not frozen");
  });
});
