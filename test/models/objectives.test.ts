// Weights and preferences: batches of them in every form, against their definitions and PyTorch in float64.
import { describe, expect, test } from "vitest";
import { Batch, Curvature, createModel, Direction, loadBatch, type TokenData } from "../../lib/index.js";
import { failure, put, temporaryFolder } from "../data/helpers.js";
import { oraclePython, runOracle } from "../oracle.js";
import { float32, float64, int64, numbers, pack } from "./files.js";

const root = temporaryFolder();
const gpt2 = {
  model_type: "gpt2",
  vocab_size: 13,
  n_positions: 8,
  n_embd: 8,
  n_layer: 2,
  n_head: 2,
} as const;
const shape = [4, 6] as const;
const inputIds = Array.from({ length: 24 }, (_, i) => (i * 7 + 3) % 13);
const labels = Array.from({ length: 24 }, (_, i) => (i % 6 < 2 ? -100 : (i * 5 + 1) % 13));
const advantages = Array.from({ length: 24 }, (_, i) => Math.sin(3 * i + 1));
const referenceLogProbabilities = [-9.5, -11, -10.25, -8];
const rows: TokenData = { inputIds, labels, shape };
const mlp = { model_type: "mlp", layer_sizes: [3, 5, 2], activation: "tanh", loss: "mse" } as const;

describe("weights", () => {
  test("of rows are those of each of their labels, and of ones change nothing", async () => {
    using model = await createModel(gpt2, { dtype: "float64" });
    using plain = Batch.tokens(rows);
    using ones = Batch.tokens({ ...rows, weights: [1, 1, 1, 1] });
    expect(await model.loss(ones)).toBeCloseTo(await model.loss(plain), 13);
    using byRow = Batch.tokens({ ...rows, weights: [2, -1, 0, 0.5] });
    using byLabel = Batch.tokens({
      ...rows,
      weights: Float64Array.from({ length: 24 }, (_, i) => [2, -1, 0, 0.5][Math.floor(i / 6)] as number),
    });
    expect(await model.loss(byRow)).toBe(await model.loss(byLabel));
    let [sum, all] = [0, 0];
    for (const [row, w] of [2, -1, 0, 0.5].entries()) {
      using one = plain.rows(row, row + 1);
      sum += w * one.count * (await model.loss(one));
      all += Math.abs(w) * one.count;
    }
    expect(await model.loss(byRow)).toBeCloseTo(sum / all, 13);
    using part = byRow.rows(0, 2);
    using same = Batch.tokens({
      inputIds: inputIds.slice(0, 12),
      labels: labels.slice(0, 12),
      shape: [2, 6],
      weights: [2, -1],
    });
    expect(await model.loss(part)).toBe(await model.loss(same));
  });

  test("go with labels that padding on the left moves", async () => {
    using model = await createModel(
      {
        model_type: "llama",
        vocab_size: 13,
        hidden_size: 8,
        intermediate_size: 12,
        num_hidden_layers: 1,
        num_attention_heads: 2,
      },
      { dtype: "float64" },
    );
    const placed = { inputIds: [0, 0, 4, 5, 6, 7], labels: [-100, -100, 5, 6, 7, 8], shape: [1, 6] } as const;
    using left = Batch.tokens({ ...placed, attentionMask: [0, 0, 1, 1, 1, 1], weights: [9, 9, 1, 2, 3, 4] });
    using right = Batch.tokens({
      inputIds: [4, 5, 6, 7],
      labels: [5, 6, 7, 8],
      shape: [1, 4],
      weights: [1, 2, 3, 4],
    });
    expect(await model.loss(left)).toBe(await model.loss(right));
  });

  test("of examples", async () => {
    using model = await createModel(mlp, { dtype: "float64" });
    const data = {
      inputs: [1, 2, 3, -1, 0.5, 2],
      targets: Float64Array.of(1, 0, 0.5, 2),
      shape: [2],
    } as const;
    using weighted = Batch.examples({ ...data, weights: [3, -1] });
    using plain = Batch.examples(data);
    using first = plain.rows(0, 1);
    using second = plain.rows(1, 2);
    const expected = (3 * (await model.loss(first)) - (await model.loss(second))) / 4;
    expect(await model.loss(weighted)).toBeCloseTo(expected, 13);
  });

  test("that are not positive have no Gauss–Newton matrix", async () => {
    using model = await createModel(mlp);
    using batch = Batch.examples({
      inputs: [1, 2, 3],
      targets: Float32Array.of(1, 0),
      shape: [1],
      weights: [-1],
    });
    expect(() => new Curvature(model, batch, { operator: "gauss-newton" })).toThrow("negative weights");
    new Curvature(model, batch).dispose();
  });

  test.each([
    [{ weights: Array(8).fill(1) }, "24 numbers, one for each label, or 4, one for each row"],
    [{ weights: [1, 2] }, "data.weights"],
    [{ weights: [0, 0, 0, 0] }, "a weight other than 0"],
    [{ weights: [1, Number.NaN, 0, 0] }, "data.weights[1]"],
    [{ weights: Float32Array.of(1, Number.POSITIVE_INFINITY, 0, 0) }, "finite numbers for weights"],
    [{ weights: "1" }, "data.weights"],
  ])("%o is an error", (more, text) => {
    expect(() => Batch.tokens({ ...rows, ...more } as TokenData)).toThrow(text);
  });
});

describe("preferences", () => {
  test.each([
    [{ referenceLogProbabilities: [1, 2] }, "data.referenceLogProbabilities"],
    [{ beta: 0 }, "data.beta"],
    [{ labelSmoothing: 1 }, "data.labelSmoothing"],
    [{ weights: [1, 1, 1, 1] }, "no weights beside preferences"],
    [{ positionIds: inputIds.map((_, i) => i % 3) }, "rows of one sequence each"],
  ])("%o is an error", (more, text) => {
    const data = { ...rows, referenceLogProbabilities, ...more };
    expect(() => Batch.preferences(data as Parameters<typeof Batch.preferences>[0])).toThrow(text);
  });

  test("come in pairs, and stay in them", async () => {
    using batch = Batch.preferences({ ...rows, referenceLogProbabilities });
    expect(() => batch.rows(1, 3)).toThrow("whole pairs");
    using half = batch.rows(2, 4);
    expect(half.shape).toEqual([2, 6]);
    const odd = { inputIds: [1, 2], labels: [3, 4], shape: [1, 2], referenceLogProbabilities: [-1] } as const;
    expect(() => Batch.preferences(odd)).toThrow("pairs of rows");
  });
});

test("files hold weights and preferences", async () => {
  using model = await createModel(gpt2, { dtype: "float64" });
  const tensors = { input_ids: int64([4, 6], inputIds), labels: int64([4, 6], labels) };
  const weights = put(
    root,
    "weights.safetensors",
    pack({ ...tensors, weights: float64([4, 6], advantages) }),
  );
  using fromFile = await loadBatch(weights);
  using direct = Batch.tokens({ ...rows, weights: advantages });
  expect(await model.loss(fromFile)).toBe(await model.loss(direct));
  const reference = { reference_log_probabilities: float64([4], referenceLogProbabilities) };
  const file = put(
    root,
    "dpo.safetensors",
    pack({ ...tensors, ...reference }, { beta: "0.3", label_smoothing: "0.1" }),
  );
  using pairs = await loadBatch(file);
  using same = Batch.preferences({ ...rows, referenceLogProbabilities, beta: 0.3, labelSmoothing: 0.1 });
  expect(await model.loss(pairs)).toBe(await model.loss(same));
  const bad = put(root, "bad.safetensors", pack({ ...tensors, weights: float32([4], [1, 2, 3, 4]) }));
  await expect(loadBatch(bad)).rejects.toEqual(failure("ERR_BATCH_FILE", '"weights"'));
});

const script = `
import sys, json, torch
from transformers import GPT2Config, GPT2LMHeadModel
torch.set_num_threads(1)
g = json.load(sys.stdin)
dtype = getattr(torch, g["dtype"])
c = {k: v for k, v in g["config"].items() if k != "model_type"}
m = GPT2LMHeadModel(GPT2Config(**c, attn_pdrop=0, embd_pdrop=0, resid_pdrop=0, attn_implementation="eager")).to(dtype)
p = dict(m.named_parameters())
with torch.no_grad():
    for n, x in g["weights"].items(): p[n].copy_(torch.tensor(x, dtype=torch.float64).reshape(p[n].shape))
ids, labels = (torch.tensor(g[k]).reshape(4, 6) for k in ("ids", "labels"))
def log_probabilities():
    z = torch.log_softmax(m(ids).logits, -1)
    t = z.gather(2, labels.clamp(min=0).unsqueeze(2)).squeeze(2)
    return torch.where(labels == -100, torch.zeros_like(t), t)
def loss(kind):
    t = log_probabilities()
    if kind == "weights":
        w = torch.tensor(g["advantages"], dtype=dtype).reshape(4, 6) * (labels != -100)
        return -(w * t).sum() / w.abs().sum()
    r = t.sum(1) - torch.tensor(g["reference"], dtype=dtype)
    margin = g["beta"] * (r[0::2] - r[1::2])
    f = torch.nn.functional.logsigmoid
    return (-(1 - g["smoothing"]) * f(margin) - g["smoothing"] * f(-margin)).mean()
order = list(g["weights"])
v = [torch.tensor(g["v"][n], dtype=dtype).reshape(p[n].shape) for n in order]
out = {}
for kind in ("weights", "preferences"):
    l = loss(kind)
    d = torch.autograd.grad(l, [p[n] for n in order], create_graph=True)
    s = sum((a * b).sum() for a, b in zip(d, v))
    h = torch.autograd.grad(s, [p[n] for n in order])
    flat = lambda ts: [x for t in ts for x in t.detach().double().flatten().tolist()]
    out[kind] = {"loss": float(l), "gradient": flat(d), "product": flat(h)}
json.dump(out, sys.stdout)
`;

const relative = (a: readonly number[], b: readonly number[]) =>
  Math.hypot(...a.map((x, i) => x - (b[i] as number))) / Math.hypot(...b);

async function all(direction: Direction): Promise<number[]> {
  const found: number[] = [];
  for (const [index, { size }] of direction.parameters.entries())
    found.push(...numbers(await direction.handle.read(index, 0, 8 * size), direction.dtype));
  return found;
}

describe.skipIf(oraclePython === undefined)(
  "losses, gradients and Hessian products are PyTorch's in float64",
  () => {
    test.each(["float64", "float32"] as const)("%s", async (dtype) => {
      using model = await createModel(gpt2, { dtype, seed: 4 });
      using v = await Direction.random(model, { seed: 5 });
      const weights: Record<string, number[]> = {};
      const direction: Record<string, number[]> = {};
      for (const [i, { name, size }] of model.parameters.entries()) {
        weights[name] = [...numbers(await model.handle.read(i, 0, 8 * size), dtype)];
        direction[name] = [...numbers(await v.handle.read(i, 0, 8 * size), dtype)];
      }
      const [beta, smoothing] = [0.3, 0.1];
      const expected = runOracle<Record<string, { loss: number; gradient: number[]; product: number[] }>>(
        script,
        {
          config: gpt2,
          dtype: "float64",
          weights,
          v: direction,
          ids: inputIds,
          labels,
          advantages,
          reference: referenceLogProbabilities,
          beta,
          smoothing,
        },
      );
      const batches = {
        weights: Batch.tokens({ ...rows, weights: advantages }),
        preferences: Batch.preferences({
          ...rows,
          referenceLogProbabilities,
          beta,
          labelSmoothing: smoothing,
        }),
      };
      const [ofLoss, ofGradient, ofProduct] =
        dtype === "float64" ? [1e-13, 1e-12, 1e-11] : [2e-6, 1e-5, 1e-4];
      for (const [kind, batch] of Object.entries(batches)) {
        const { loss, gradient, product } = expected[kind] as {
          loss: number;
          gradient: number[];
          product: number[];
        };
        const found = await model.gradient(batch);
        expect(Math.abs(found.loss - loss)).toBeLessThan(ofLoss * Math.abs(loss));
        expect(relative(await all(found.gradient), gradient)).toBeLessThan(ofGradient);
        using curvature = new Curvature(model, batch);
        expect(relative(await all((await curvature.product(v)).product), product)).toBeLessThan(ofProduct);
        batch.dispose();
      }
    });
  },
);
