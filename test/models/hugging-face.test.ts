import { spawnSync } from "node:child_process";
import path from "node:path";
import { expect, test } from "vitest";
import { AdamW, Batch, createModel, loadModel, type Model, type ModelConfigInput } from "../../lib/index.js";
import { temporaryFolder } from "../data/helpers.js";
import { oraclePython as python } from "../oracle.js";
import { gpt } from "./files.js";

const root = temporaryFolder();

/** Opens each directory in transformers, prints its loss and saves it again, in three ways. */
const script = `
import json, sys, torch
import torch.nn.functional as F
from transformers import AutoModelForCausalLM
ids, labels = (torch.tensor(json.loads(text)).view(2, 4) for text in sys.argv[1:3])
for folder in sys.argv[3:]:
    model, info = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True, experts_implementation="eager")
    assert not any(info[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys")), info
    with torch.no_grad():
        logits = model.double().eval()(ids).logits
    print(F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=-100).item())
    model.float().save_pretrained(folder + "/whole")
    model.float().save_pretrained(folder + "/shards", max_shard_size="2KB")
    model.bfloat16().save_pretrained(folder + "/bfloat16")
`;

const ids = [1, 5, 3, 9, 0, 2, 10, 4];
const labels = [5, 3, -100, 0, 2, 10, 4, 7];
const sizes = {
  vocab_size: 11,
  hidden_size: 8,
  intermediate_size: 12,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  max_position_embeddings: 8,
  pad_token_id: null,
};
const configs: ModelConfigInput[] = [
  gpt,
  { ...gpt, tie_word_embeddings: false, n_inner: 20, activation_function: "gelu" },
  { model_type: "llama", ...sizes, num_key_value_heads: 1, rope_theta: 100 },
  { model_type: "gpt_neox", ...sizes, rotary_pct: 0.5 },
  { model_type: "olmo2", ...sizes, tie_word_embeddings: true },
  { model_type: "smollm3", ...sizes, num_key_value_heads: 1, no_rope_layers: [0, 1] },
  { model_type: "granite", ...sizes, embedding_multiplier: 3, residual_multiplier: 0.5, logits_scaling: 2 },
  {
    model_type: "gemma3_text",
    ...sizes,
    head_dim: 4,
    num_key_value_heads: 1,
    sliding_window: 3,
    sliding_window_pattern: 2,
  },
  { model_type: "mixtral", ...sizes, num_key_value_heads: 1, num_local_experts: 3, sliding_window: 3 },
  { model_type: "olmoe", ...sizes, num_experts: 4, num_experts_per_tok: 2, eos_token_id: 2 },
  {
    model_type: "qwen3_moe",
    ...sizes,
    num_key_value_heads: 1,
    num_experts: 4,
    num_experts_per_tok: 3,
    moe_intermediate_size: 6,
    mlp_only_layers: [0],
  },
];

async function trained(config: ModelConfigInput, batch: Batch): Promise<Model> {
  const model = await createModel(config, { seed: 4 });
  const optimizer = new AdamW(model, { learningRate: 0.03 });
  for (let step = 0; step < 5; step++) {
    await optimizer.accumulate(await model.gradient(batch));
    await optimizer.step();
  }
  return model;
}

test.skipIf(!python)(
  "what was trained here opens in transformers with the same loss, and comes back",
  async () => {
    const batch = Batch.tokens({ inputIds: ids, labels, shape: [2, 4] });
    const models = await Promise.all(configs.map((config) => trained(config, batch)));
    const folders = models.map((_, i) => path.join(root, String(i)));
    for (const [i, model] of models.entries()) await model.save(folders[i] as string);

    const arguments_ = ["-c", script, JSON.stringify(ids), JSON.stringify(labels), ...folders];
    const { stdout, stderr, status } = spawnSync(python as string, arguments_, { encoding: "utf8" });
    expect(status, stderr).toBe(0);
    const theirs = stdout.trim().split("\n").map(Number);

    for (const [i, model] of models.entries()) {
      const folder = folders[i] as string;
      const loss = async (directory: string, dtype: "float32" | "float64") =>
        (await loadModel(directory, { dtype })).loss(batch);
      const off = (received: number) => Math.abs(received / (theirs[i] as number) - 1);
      // Some of the others' operations are in float32 there whatever the model's dtype is.
      const exact = model.config.model_type === "gpt2" ? 1e-12 : 1e-6;
      expect(off(await loss(folder, "float64"))).toBeLessThan(exact);
      expect(off(await loss(folder, "float32"))).toBeLessThan(2e-6);
      for (const written of ["whole", "shards"])
        expect(await (await loadModel(path.join(folder, written))).digest()).toBe(await model.digest());
      expect(off(await loss(path.join(folder, "bfloat16"), "float32"))).toBeLessThan(2 ** -7);
    }
  },
);
