import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { relativeCriticalSharpness, type SearchResult, sharpnessMatrix } from "../../lib/index.js";
import { Batch, createModel, Direction, type Model } from "../../lib/models/index.js";
import { linearProblem } from "../experiments/linear-problem.js";

const problem = linearProblem({ features: 4, rows: 9, batches: 3 });
const names = ["first", "second", "third"] as const;
const batches = problem.data.map(({ inputs, targets }) =>
  Batch.examples({ inputs, targets, shape: [targets.length] }),
);
const tasks = Object.fromEntries(names.map((name, i) => [name, batches[i]])) as Record<
  (typeof names)[number],
  Batch
>;
let model: Model;
let gradients: { loss: number; gradient: number[] }[];
beforeAll(async () => {
  const config = { model_type: "mlp", layer_sizes: [4, 1], activation: "tanh", loss: "mse" } as const;
  model = await createModel(config, { dtype: "float64", seed: 2 });
  const weights = Float64Array.from([
    ...new Float64Array(await model.handle.read(0, 0, 32)),
    ...new Float64Array(await model.handle.read(1, 0, 8)),
  ]);
  gradients = names.map((_, i) => problem.lossAndGradient(i, weights));
});
afterAll(() => {
  for (const batch of batches) batch.dispose();
  model.dispose();
});

/** What a quadratic says of λc(update → evaluate): ΔᵀHΔ/(∇L·Δ) of the one that is evaluated. */
function closedForm(update: number, evaluate: number, sign = 1) {
  const delta = (gradients[update] as { gradient: number[] }).gradient.map((g) => sign * g);
  const slope = problem.dot(delta, (gradients[evaluate] as { gradient: number[] }).gradient);
  return slope > 0 ? problem.curvature(evaluate, delta) / slope : Infinity;
}

function expectSharpness(result: SearchResult, value: number) {
  expect(result.status).toBe(value === Infinity ? "non-descent" : "converged");
  if (value === Infinity) expect(result.criticalSharpness).toBe(Infinity);
  else expect(Math.abs(result.criticalSharpness / value - 1)).toBeLessThan(1e-6);
}

describe("the matrix of tasks, on quadratics where it has a closed form", () => {
  test("every pair, with the slopes and losses of the task that is evaluated", async () => {
    const before = await model.digest();
    const seen: string[] = [];
    const matrix = await sharpnessMatrix({
      model,
      tasks,
      tolerance: 1e-7,
      onResult: (_, update, evaluate) => seen.push(`${update}→${evaluate}`),
    });
    expect(Object.keys(matrix)).toEqual(names);
    for (const [i, update] of names.entries())
      for (const [j, evaluate] of names.entries()) {
        expectSharpness(matrix[update][evaluate], closedForm(i, j));
        expect(matrix[update][evaluate].baseLoss ?? gradients[j]?.loss).toBeCloseTo(
          gradients[j]?.loss as number,
          12,
        );
      }
    expect(seen).toHaveLength(9);
    expect(seen[1]).toBe("first→second");
    expect(await model.digest()).toBe(before);
  });

  test("with a given direction: what does not descend is a result", async () => {
    const { gradient } = await model.gradient(batches[0] as Batch);
    using away = await gradient.scale(-1);
    gradient.dispose();
    const matrix = await sharpnessMatrix({ model, tasks, directions: { first: away }, tolerance: 1e-7 });
    for (const [j, evaluate] of names.entries())
      expectSharpness(matrix.first[evaluate], closedForm(0, j, -1));
    expect(matrix.first.first).toMatchObject({ status: "non-descent", forwardPasses: 0 });
  });

  test("a relative measurement finds the slopes that it is not given", async () => {
    const { gradient } = await model.gradient(batches[0] as Batch);
    using direction = gradient;
    const found = await relativeCriticalSharpness({ model, direction, evaluate: tasks });
    const blind = await relativeCriticalSharpness({ model, direction, evaluate: tasks, findSlopes: false });
    for (const [j, name] of names.entries()) {
      const slope = problem.dot(gradients[0]?.gradient ?? [], gradients[j]?.gradient ?? []);
      expect(found[name].slope).toBeCloseTo(slope, 12);
      expect(blind[name]).toMatchObject({ slope: null, status: found[name].status });
      expect(blind[name].forwardPasses).toBeGreaterThan(found[name].forwardPasses);
    }
  });

  test("directions of tasks that there are not, and no tasks", async () => {
    using direction = await Direction.random(model, { seed: 1 });
    const options = { model, tasks, directions: { fourth: direction } };
    await expect(sharpnessMatrix(options as never)).rejects.toMatchObject({ code: "ERR_OUT_OF_RANGE" });
    await expect(sharpnessMatrix({ model } as never)).rejects.toMatchObject({ code: "ERR_INVALID_ARG_TYPE" });
  });
});
