import { describe, expect, test } from "vitest";
import { createModel, type Model } from "../../lib/models/index.js";
import { AdamW, Muon, type MuonOptions } from "../../lib/optimizers/index.js";
import { badArgument, mlp } from "../models/files.js";
import { oraclePython, runOracle } from "../oracle.js";
import { apart, network, trained, values } from "./network.js";

/** A tall matrix, a wide one and a square one, with rows enough for gradients of full rank. */
const layers = { ...mlp, layer_sizes: [24, 40, 40, 10] };
const rows = 48;

/**
 * torch.optim.Muon for matrices and torch.optim.AdamW for vectors, both given the weights and the gradients of each update.
 * `iterations`: what Newton–Schulz is computed in; PyTorch has bfloat16 alone, so for others that conversion is another one.
 */
const updates = `
import json, sys, torch
given = json.load(sys.stdin)
dtype, other = getattr(torch, given["dtype"]), given["iterations"]
if other != "bfloat16": torch.Tensor.bfloat16 = lambda self: self.to(getattr(torch, other), copy=True)
shapes, muon, adamw = given["shapes"], given["muon"], given["adamw"]
sizes = [torch.Size(s).numel() for s in shapes]
parts = lambda flat: [x.reshape(s) for x, s in zip(torch.tensor(flat, dtype=dtype).split(sizes), shapes)]
weights = [torch.nn.Parameter(w) for w in parts(given["weights"][0])]
matrices, vectors = [w for w in weights if w.ndim == 2], [w for w in weights if w.ndim < 2]
first, second = torch.optim.Muon(matrices, lr=1.0, **muon), torch.optim.AdamW(vectors, **adamw)
deltas = []
for thetas, gradients in zip(given["weights"], given["gradients"]):
    before = parts(thetas)
    for w, theta, g in zip(weights, before, parts(gradients)):
        w.data.copy_(theta)
        w.grad = g
    first.step()
    second.step()
    deltas.append(torch.cat([(b - w.detach()).flatten() for b, w in zip(before, weights)]).tolist())
state = torch.cat([first.state[w]["momentum_buffer"].flatten() for w in matrices]).tolist()
json.dump({"deltas": deltas, "state": state}, sys.stdout)
`;

const make = (model: Model, options: Partial<MuonOptions> = {}) =>
  new Muon(model, { learningRate: 0.01, adamw: { learningRate: 0.002, weightDecay: 0.2 }, ...options });
const distance = (a: readonly number[], b: readonly number[]) =>
  Math.hypot(...a.map((x, i) => x - (b[i] as number))) / Math.hypot(...b);

describe.skipIf(oraclePython === undefined)("Muon and AdamW against torch.optim, update by update", () => {
  // Where both round the same momentum to bfloat16, what follows has the same bits. Iterations in float32 magnify the rounding of
  // a small singular value by a⁵ = 485 at the most: gradients of full rank have few of those.
  test.each([
    ["as PyTorch has it", "float64", "bfloat16", "float64", {}, 1e-10],
    ["as PyTorch has it", "float32", "bfloat16", "float32", {}, 1e-5],
    ["without Nesterov's form", "float64", "bfloat16", "float64", { nesterov: false }, 1e-10],
    ["with the RMS of AdamW", "float64", "bfloat16", "float64", { adjustment: "match_rms_adamw" }, 1e-10],
    ["other settings", "float64", "float64", "float64", { momentum: 0.3, iterations: 3, epsilon: 1 }, 1e-10],
    ["iterations in float64", "float64", "float64", "float64", {}, 1e-10],
    ["iterations in float32", "float32", "float32", "float64", {}, 1e-5],
  ] as const)(
    "%s: a model in %s, iterations in %s, PyTorch in %s",
    async (_, dtype, iterations, oracle, own, bound) => {
      const model = await createModel(layers, { seed: 3, dtype });
      const optimizer = make(model, { iterationDtype: iterations, ...own });
      const run = await trained(model, optimizer, 20, rows);
      const settings: Partial<MuonOptions> = own;
      const { deltas, state } = runOracle<{ deltas: number[][]; state: number[] }>(updates, {
        ...{ dtype: oracle, gradients: run.gradients, weights: run.weights },
        iterations: oracle === dtype ? iterations : oracle,
        shapes: model.parameters.map(({ shape }) => shape),
        muon: {
          momentum: settings.momentum ?? 0.95,
          nesterov: settings.nesterov ?? true,
          ns_steps: settings.iterations ?? 5,
          eps: settings.epsilon ?? 1e-7,
          adjust_lr_fn: settings.adjustment ?? null,
          weight_decay: 0.1,
        },
        adamw: { lr: 0.2, betas: [0.9, 0.95], eps: 1e-8, weight_decay: 0.2 },
      });
      for (const [t, delta] of deltas.entries())
        expect(distance(run.directions[t] as number[], delta)).toBeLessThan(bound);
      expect(distance(run.state.momentum_buffer as number[], state)).toBeLessThan(
        dtype === "float64" ? 1e-14 : 1e-6,
      );
    },
  );
});

test("Δ of a matrix is nearly orthogonal, as long as its shape says, whatever the gradient's length", async () => {
  const model = await createModel(layers, { seed: 3, dtype: "float64" });
  // a, b, c of a cubic iteration that converges to UVᵀ.
  const converging = { coefficients: [1.5, -0.5, 0], iterations: 60, iterationDtype: "float64" } as const;
  const optimizer = make(model, { ...converging, nesterov: false, weightDecay: 0 });
  const { directions } = await trained(model, optimizer, 1, rows);
  const tall = (directions[0] as number[]).slice(0, 40 * 24);
  const ratio = 40 / 24;
  for (let i = 0; i < 24; i++)
    for (let j = 0; j <= i; j++) {
      let sum = 0;
      for (let row = 0; row < 40; row++)
        sum += (tall[row * 24 + i] as number) * (tall[row * 24 + j] as number);
      expect(sum).toBeCloseTo(i === j ? ratio : 0, 8);
    }
});

test("what it moves: matrices but embeddings and head, or those that are named; AdamW the rest, with its own η and γ", async () => {
  const decoder = await createModel(
    { model_type: "gpt2", vocab_size: 30, n_positions: 8, n_embd: 8, n_layer: 1, n_head: 2 },
    { seed: 1 },
  );
  const optimizer = new Muon(decoder, { learningRate: 1 });
  const moved = decoder.parameters
    .filter((_, i) => optimizer.handle.roles[i]?.includes("momentum_buffer"))
    .map(({ name }) => name.replace("transformer.", ""));
  expect(moved).toEqual([
    "h.0.attn.c_attn.weight",
    "h.0.attn.c_proj.weight",
    "h.0.mlp.c_fc.weight",
    "h.0.mlp.c_proj.weight",
  ]);

  const { model, batch } = await network("float64");
  const { gradient } = await model.gradient(batch);
  const part = { betas: [0.9, 0.95] as const, epsilon: 1e-8 };
  const mixed = new Muon(model, {
    learningRate: 0.1,
    parameters: ["layers.1.weight"],
    adamw: { learningRate: 0.02, weightDecay: 0.5 },
    groups: [{ parameters: "layers.1.bias", learningRate: 0.3 }],
  });
  const adamw = new AdamW(model, { learningRate: 0.1, weightDecay: 0.5, ...part });
  for (const one of [mixed, adamw]) await one.accumulate(gradient);
  const [a, b] = [await values(await mixed.direction()), await values(await adamw.direction())];
  const scaled = (list: number[], k: number) => list.map((x) => k * x);
  expect(apart(a.slice(0, 30), scaled(b.slice(0, 30), 0.2))).toBeLessThan(1e-15);
  expect(apart(a.slice(48), scaled(b.slice(48), 3))).toBeLessThan(1e-15);
  expect(mixed.handle.roles[2]).toEqual(["momentum_buffer", "gradient"]);
});

test("it has no P and no threshold, and its options are checked", async () => {
  const { model, batch } = await network();
  const optimizer = make(model);
  await optimizer.accumulate(await model.gradient(batch));
  await expect(optimizer.preconditioner()).rejects.toMatchObject({ code: "ERR_NO_METRIC" });
  expect([optimizer.threshold(), optimizer.kind, optimizer.isWhole]).toEqual([null, "muon", true]);
  const wrong: Record<string, unknown[]> = {
    momentum: [1, -0.1, "0.9", null],
    nesterov: [1, null],
    coefficients: [[1, 2], [1, 2, NaN], 3, null],
    epsilon: [-1, NaN, null],
    iterations: [1.5, -1, 100, null],
    adjustment: ["none", null],
    iterationDtype: ["float16", null],
    parameters: [[], "layers.0.weight", ["layers.0.bias"], ["none"], [3], null],
    adamw: [
      3,
      null,
      { betas: [1, 0] },
      { epsilon: -1 },
      { learningRate: 0 },
      { weightDecay: -1 },
      { momentum: 1 },
    ],
  };
  for (const [key, all] of Object.entries(wrong))
    for (const value of all)
      expect(() => make(model, { [key]: value }), `${key}: ${JSON.stringify(value)}`).toThrow(badArgument);
});
