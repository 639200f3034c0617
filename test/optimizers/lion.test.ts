import { describe, expect, test } from "vitest";
import { createModel } from "../../lib/models/index.js";
import { Lion } from "../../lib/optimizers/index.js";
import { badArgument, mlp } from "../models/files.js";
import { oraclePython, runOracle } from "../oracle.js";
import { network, trained } from "./network.js";

const betas: [number, number] = [0.9, 0.98];
const weightDecay = 0.3;

/** The paper's recursion (Chen et al. 2023, algorithm 2) in float64; `scale`: β₁|m| + (1−β₁)|g|, what c's rounding goes by. */
const recursion = `
import json, sys, torch
torch.set_default_dtype(torch.float64)
given = json.load(sys.stdin)
(b1, b2), decay = given["betas"], given["weightDecay"]
m, out = 0, []
for g, theta in zip(map(torch.tensor, given["gradients"]), map(torch.tensor, given["weights"])):
    c, scale = b1 * m + (1 - b1) * g, b1 * abs(m) + (1 - b1) * g.abs()
    m = b2 * m + (1 - b2) * g
    out.append({"delta": (torch.sign(c) + decay * theta).tolist(), "c": c.tolist(), "scale": scale.tolist(), "m": m.tolist()})
json.dump(out, sys.stdout)
`;
type Update = Record<"delta" | "c" | "scale" | "m", number[]>;

describe.skipIf(oraclePython === undefined)("Lion against its recursion in PyTorch's float64", () => {
  test.each([
    ["float64", 2 ** -53, 1e-10],
    ["float32", 2 ** -24, 1e-5],
  ] as const)("update by update, with the weights that it moves, in %s", async (dtype, epsilon, bound) => {
    const model = await createModel({ ...mlp, layer_sizes: [40, 60, 10] }, { seed: 3, dtype });
    const optimizer = new Lion(model, { learningRate: 3e-3, betas, weightDecay });
    const run = await trained(model, optimizer, 20);
    const updates: Update[] = runOracle(recursion, { ...run, betas, weightDecay });
    // What each entry's numbers have been at the most: every update of m rounds three times by that, and c's three times more.
    const most: number[] = (updates[0] as Update).scale.map(() => 0);
    let [unresolved, all] = [0, 0];
    for (const [t, { delta, c, scale }] of updates.entries()) {
      let [distance, norm] = [0, 0];
      for (const [i, received] of (run.directions[t] as number[]).entries()) {
        most[i] = Math.max(most[i] as number, scale[i] as number);
        const certain = Math.abs(c[i] as number) > 3 * (t + 1) * epsilon * (most[i] as number);
        all++;
        if (!certain) unresolved++;
        else distance += (received - (delta[i] as number)) ** 2;
        norm += (delta[i] as number) ** 2;
      }
      expect(Math.sqrt(distance / norm)).toBeLessThan(bound);
    }
    // A few in a million are as near to 0 as that in float32, if numbers of all sizes are as likely.
    expect(unresolved / all).toBeLessThan(1e-4);

    const { m } = updates.at(-1) as Update;
    const momentum = run.state.exp_avg as number[];
    expect(momentum.length).toBe(m.length);
    for (const [i, received] of momentum.entries())
      expect(Math.abs(received - (m[i] as number))).toBeLessThanOrEqual(
        3 * 20 * epsilon * (most[i] as number),
      );
  });
});

test("Δ is a sign, 0 where nothing has ever pulled, and NaN of a NaN", async () => {
  const { model, batch } = await network();
  const optimizer = new Lion(model, { learningRate: 1 });
  const { gradient } = await model.gradient(batch);
  await optimizer.accumulate(gradient.mask("layers.0.weight"));
  const { directions } = await trained(model, optimizer, 1);
  expect(new Set((directions[0] as number[]).map(Math.abs))).toEqual(new Set([1]));
  const other = new Lion(model, { learningRate: 1 });
  await other.accumulate(gradient.mask("layers.0.weight"));
  const direction = await other.direction();
  expect(new Float32Array(await direction.handle.read(1, 0, 1e3))).toEqual(new Float32Array(6));
  for (const k of [1e300, -1e300]) await other.accumulate(await gradient.scale(k));
  expect(await (await other.direction()).norm()).toBeNaN();
});

test("it has no P and no threshold, and its options are checked", async () => {
  const { model, batch } = await network();
  const optimizer = new Lion(model, { learningRate: 0.1 });
  await optimizer.accumulate(await model.gradient(batch));
  await expect(optimizer.preconditioner()).rejects.toMatchObject({ code: "ERR_NO_METRIC" });
  expect([optimizer.threshold(), optimizer.kind, optimizer.hasMetric]).toEqual([null, "lion", false]);
  for (const wrong of [null, 0.9, [0.9], [0.9, 1], [-0.1, 0.9], ["0.9", 0.9]])
    expect(() => new Lion(model, { learningRate: 1, betas: wrong as never })).toThrow(badArgument);
});
