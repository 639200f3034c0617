import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { findCheckpoints, measureCheckpoints } from "../../lib/experiments/index.js";
import { Batch, createModel, loadModel, loadOptimizer } from "../../lib/index.js";
import { parameterBlock, parameterKind } from "../../lib/models/parameters.js";
import { oraclePython, runOracle } from "../oracle.js";

/** A model of transformers', trained two steps, with the names that OLMo-core has for its parts, as OLMo-core writes a step. */
const script = `
import json, math, os, re, sys, warnings
os.environ["TRANSFORMERS_VERBOSITY"] = "error"
warnings.filterwarnings("ignore")
import torch
import transformers
from torch.distributed import checkpoint
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_state_dict
given = json.load(sys.stdin)
torch.manual_seed(5)
kind = given["model"]
model = getattr(transformers, kind + "ForCausalLM")(getattr(transformers, kind + "Config")(**given["config"]))
for p in model.parameters():
    p.data += 0.1 * torch.randn_like(p)
behind = kind.startswith("Olmo")
rules = [("model.embed_tokens", "embeddings"), ("model.norm", "lm_head.norm"), ("lm_head.weight", "lm_head.w_out.weight"),
    ("input_layernorm", "attention_norm"), ("post_attention_layernorm", "attention_norm" if behind else "feed_forward_norm"),
    ("post_feedforward_layernorm", "feed_forward_norm"), ("o_proj", "w_out"), ("mlp.gate_proj", "feed_forward.w1"),
    ("mlp.down_proj", "feed_forward.w2"), ("mlp.up_proj", "feed_forward.w3"), ("self_attn", "attention"), ("model.layers", "blocks")]
def renamed(name):
    for old, new in rules: name = name.replace(old, new)
    return re.sub(r"([qkv])_proj", r"w_\\1", name)
ids, labels = (torch.tensor(given[k]).view(2, -1) for k in ("ids", "labels"))
def loss_of(model):
    return torch.nn.functional.cross_entropy(model(input_ids=ids).logits.flatten(0, 1), labels.flatten())
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1)
for step in (1, 2):
    optimizer.zero_grad()
    loss_of(model).backward()
    optimizer.step()
    weights, state = get_state_dict(model, optimizer, options=StateDictOptions(flatten_optimizer_state_dict=True))
    if given.get("skipsStep"):
        for key in state:
            if key.endswith(".step"): state[key] = torch.zeros(())
    folder = given["folder"] + f"/step{step}"
    checkpoint.save({"model": {renamed(n): w for n, w in weights.items()}, "optim": {renamed(n): s for n, s in state.items()}}, checkpoint_id=folder + "/model_and_optim")
    json.dump({"model": given["own"], "dataset": {"sequence_length": 32}}, open(folder + "/config.json", "w"))
model = model.double()
loss = loss_of(model)
norm = math.sqrt(sum(g.square().sum().item() for g in torch.autograd.grad(loss, list(model.parameters()))))
moment = math.sqrt(sum(s["exp_avg"].double().square().sum().item() for s in optimizer.state.values()))
json.dump({"loss": loss.item(), "norm": norm, "moment": moment}, sys.stdout)
`;

const shared = {
  vocab_size: 256,
  hidden_size: 32,
  intermediate_size: 48,
  num_attention_heads: 4,
  max_position_embeddings: 32,
  tie_word_embeddings: false,
};
const rms = { name: "rms", eps: 1e-6, bias: false, full_precision: true, dtype: "float32" };

/** As OLMo-core's to_dict() has it, with the names of its classes. */
function own(layers: number, block: string, mixer: object) {
  return {
    _CLASS_: "olmo_core.nn.transformer.config.TransformerConfig",
    d_model: 32,
    vocab_size: 256,
    n_layers: layers,
    block: {
      _CLASS_: "olmo_core.nn.transformer.config.TransformerBlockConfig",
      sequence_mixer: {
        _CLASS_: "olmo_core.nn.attention.AttentionConfig",
        name: "default",
        n_heads: 4,
        bias: false,
        rope: { name: "default", theta: 500000, full_precision: true, scaling: null },
        use_flash: false,
        ...mixer,
      },
      layer_norm: rms,
      feed_forward: { hidden_size: 48, bias: false, name: "default", activation: "silu" },
      name: block,
    },
    lm_head: { name: "default", layer_norm: rms, bias: false, loss_implementation: "default" },
    init_method: "normal",
    init_seed: 1,
  };
}

const rope = { rope_parameters: { rope_type: "default", rope_theta: 500000 } };
const cases = [
  {
    name: "OLMo 2",
    model: "Olmo2",
    config: {
      ...{ ...shared, ...rope, num_hidden_layers: 2, num_key_value_heads: 2 },
      ...{ rms_norm_eps: 1e-6, pad_token_id: null },
    },
    own: own(2, "reordered_norm", { n_kv_heads: 2, qk_norm: rms }),
  },
  {
    name: "OLMo 3",
    model: "Olmo3",
    config: {
      ...{ ...shared, num_hidden_layers: 5, rms_norm_eps: 1e-6, pad_token_id: null, sliding_window: 4 },
      layer_types: ["full", "sliding", "sliding", "full", "full"].map((type) => `${type}_attention`),
    },
    own: own(5, "reordered_norm", { qk_norm: rms, sliding_window: { pattern: [4, 4, -1] } }),
  },
  {
    name: "Llama",
    model: "Llama",
    config: { ...shared, ...rope, num_hidden_layers: 2, rms_norm_eps: 1e-6 },
    own: own(2, "default", {}),
  },
  {
    name: "Llama, tied, as the first version wrote it",
    model: "Llama",
    config: { ...shared, ...rope, num_hidden_layers: 2, rms_norm_eps: 1e-6, tie_word_embeddings: true },
    own: { ...own(2, "default", {}), tie_word_embeddings: true, compile: true, dp_config: { name: "fsdp" } },
  },
  {
    name: "Qwen 3",
    model: "Qwen3",
    config: {
      ...{ ...shared, ...rope, num_hidden_layers: 2, num_key_value_heads: 2, head_dim: 16 },
      ...{ rms_norm_eps: 1e-6 },
    },
    own: own(2, "default", { n_kv_heads: 2, head_dim: 16, qk_norm: rms, use_head_qk_norm: true }),
  },
];

describe.skipIf(!oraclePython)("steps of OLMo-core's", { timeout: 300_000 }, () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(path.join(os.tmpdir(), "olmo-core-"));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const ids = Array.from({ length: 48 }, (_, i) => (i * 37 + 3) % 251);
  const labels = Array.from({ length: 48 }, (_, i) => (i * 53 + 1) % 251);

  test.each(cases)("loss, gradient and moments are PyTorch's: $name", async ({ name, ...given }) => {
    const place = path.join(folder, name);
    const known = runOracle<Record<"loss" | "norm" | "moment", number>>(script, {
      ...given,
      ...{ ids, labels, folder: place },
    });
    const step = path.join(place, "step2");
    using model = await loadModel(step);
    using batch = Batch.tokens({ inputIds: ids, labels, shape: [2, 24] });
    const { loss, gradient } = await model.gradient(batch);
    expect(Math.abs(loss / known.loss - 1)).toBeLessThan(1e-6);
    expect(Math.abs((await gradient.norm()) / known.norm - 1)).toBeLessThan(1e-5);
    gradient.dispose();
    using optimizer = await loadOptimizer(step, model);
    expect([optimizer.kind, optimizer.steps, optimizer.learningRate]).toEqual(["adamw", 2, 1e-3]);
    const { exp_avg: moment } = await optimizer.handle.state();
    expect(Math.abs(((await moment?.norm()) ?? 0) / known.moment - 1)).toBeLessThan(1e-6);
    moment?.dispose();

    await model.save(path.join(place, "saved"));
    using again = await loadModel(path.join(place, "saved"));
    expect(await again.digest()).toBe(await model.digest());
  });

  test("a series of them has the moments and the learning rate that the run had", async () => {
    const found = await measureCheckpoints(
      {
        data: { type: "state-of-the-union", tokenizer: "bytes" },
        ...{ batch: { size: 2, sequence: 16 }, measure: 2 },
      },
      {
        directory: path.join(folder, "series"),
        checkpoints: await findCheckpoints([path.join(folder, "OLMo 2")]),
      },
    );
    expect(found.failures).toEqual([]);
    expect(found.checkpoints.map((one) => [one.step, one.direction, one.learningRate])).toEqual([
      [1, "stored", 1e-3],
      [2, "stored", 1e-3],
    ]);
  });

  test("moments whose steps were not counted are refused, not taken for none", async () => {
    const place = path.join(folder, "skips");
    const [first] = cases;
    runOracle(script, { ...first, ids, labels, folder: place, skipsStep: true });
    using model = await loadModel(path.join(place, "step2"));
    await expect(loadOptimizer(path.join(place, "step2"), model)).rejects.toMatchObject({
      code: "ERR_OPTIMIZER_STATE",
      message: expect.stringContaining("SkipStepAdamW"),
    });
  });

  test.each([
    ["block.name", (m: Nested) => Object.assign(m.block, { name: "moe" })],
    ["block.sequence_mixer.gate", (m: Nested) => Object.assign(m.block.sequence_mixer, { gate: {} })],
    ["embedding_norm", (m: Nested) => Object.assign(m, { embedding_norm: rms })],
    [
      "block.sequence_mixer.rope.scaling",
      (m: Nested) => Object.assign(m.block.sequence_mixer.rope, { scaling: {} }),
    ],
    ["of model.block", (m: Nested) => Object.assign(m.block, { recurrence: 2 })],
    ["freeze_params", (m: Nested) => Object.assign(m, { freeze_params: ["embeddings*"] })],
    [
      "lm_head.bias false",
      (m: Nested) => Object.assign(m, { tie_word_embeddings: true, lm_head: { layer_norm: rms } }),
    ],
    ["the model's num_attention_heads", (m: Nested) => Object.assign(m, { d_model: 33 })],
    ["norms that are alike", (m: Nested) => Object.assign(m.lm_head, { layer_norm: { ...rms, eps: 1e-3 } })],
    ["bias false", (m: Nested) => Object.assign(m.block, { layer_norm: { ...rms, bias: null } })],
  ])("what is not known of one is refused with a remedy: %s", async (what, change) => {
    const place = mkdtempSync(path.join(folder, "refused-"));
    const model = JSON.parse(JSON.stringify(cases[0]?.own));
    change(model);
    writeFileSync(path.join(place, "config.json"), JSON.stringify({ model }));
    await expect(loadModel(place)).rejects.toMatchObject({
      code: "ERR_MODEL_FILE",
      message: expect.stringMatching(
        new RegExp(`^Expected (?!Invalid|Unrec).*${what}.*convert_checkpoint_to_hf`),
      ),
    });
  });
});

interface Nested {
  block: { sequence_mixer: { rope: object } };
  lm_head: object;
}

test("its parameters have kinds and blocks", async () => {
  using model = await createModel({ model_type: "olmo_core", model: cases[0]?.own });
  const of = (name: string) => [parameterKind(name), parameterBlock(name)];
  expect(model.parameters.map(({ name }) => name).slice(0, 3)).toEqual([
    "embeddings.weight",
    "blocks.0.attention.w_q.weight",
    "blocks.0.attention.w_k.weight",
  ]);
  expect(of("embeddings.weight")).toEqual(["embeddings", "embeddings"]);
  expect(of("blocks.1.attention.q_norm.weight")).toEqual(["norms", "layer 1"]);
  expect(of("blocks.1.feed_forward.w2.weight")).toEqual(["mlp", "layer 1"]);
  expect(of("lm_head.norm.weight")).toEqual(["norms", "last norm"]);
  expect(of("lm_head.w_out.weight")).toEqual(["head", "head"]);
  expect(model.parameters.map(({ name }) => parameterKind(name))).not.toContain("other");
});
