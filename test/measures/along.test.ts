import path from "node:path";
import { expect, it } from "vitest";
import { random } from "../../lib/data/random.js";
import { along, Batch, Direction, loadModel, type Model } from "../../lib/index.js";
import { parameterParts } from "../../lib/models/index.js";
import { stepsOf } from "../../lib/sharpness/along-steps.js";

const cases = path.join(import.meta.dirname, "../models/adapters/cases/plain");

/** Random tokens of a vocabulary of 24. */
function tokens(seed: number): Batch {
  const draw = random(seed, "tokens");
  const ids = Int32Array.from({ length: 4 * 12 + 1 }, () => Math.floor(24 * draw.uniform()));
  return Batch.tokens({ inputIds: ids.subarray(0, -1), labels: ids.subarray(1), shape: [4, 12] });
}

/** A model, and the way to an adapter of its attention. */
async function problem() {
  const model = await loadModel(path.join(cases, "base"), { dtype: "float64" });
  const direction = await Direction.fromAdapter(model, path.join(cases, "adapter"));
  return { model, direction, texts: { one: [tokens(1), tokens(2)], two: [tokens(3)] } };
}

/** Where the loss first rises above a level, by a dense scan. */
async function scan(model: Model, batch: Batch, direction: Direction, allow: number): Promise<number> {
  const base = await model.loss(batch);
  for (let eta = 0.005; eta < 50; eta += 0.005) {
    const loss = await model.loss(batch, { perturbation: { direction, learningRate: eta } });
    if (loss > base * (1 + allow)) return eta;
  }
  return NaN;
}

it("gives the losses, and the steps that dense scans give, of the whole and of parts", async () => {
  const { model, direction, texts } = await problem();
  const parts = parameterParts(model.parameters, "kinds");
  const before = await model.digest();
  const seen: string[] = [];
  const found = await along({
    ...{ model, direction, texts, parts, points: 6 },
    allow: 0.02,
    onProgress: ({ text, batch, part }) => seen.push(`${text} ${batch} ${part}`),
  });
  expect(await model.digest()).toBe(before);
  expect(found.unchanged.toSorted()).toEqual(["embeddings", "mlp", "norms"]);
  expect(Object.keys(found.parts)).toEqual(["attention"]);
  expect(found.norm).toBeCloseTo(await direction.norm(), 12);
  expect(seen).toEqual([
    ...["one 0 null", "one 1 null", "two 0 null", "one 0 attention", "one 1 attention", "two 0 attention"],
  ]);
  for (const [name, batches] of Object.entries(texts) as ["one" | "two", Batch[]][]) {
    const text = found.texts[name];
    expect(text.points.map(({ learningRate }) => learningRate)).toEqual([0, 0.25, 0.5, 0.75, 1, 1.25, 1.5]);
    const losses = await Promise.all(
      batches.map((batch) => model.loss(batch, { perturbation: { direction, learningRate: 0.75 } })),
    );
    expect(text.points[3]?.loss).toBe(losses.reduce((a, b) => a + b, 0) / losses.length);
    const dense = await Promise.all(batches.map((batch) => scan(model, batch, direction, 0.02)));
    const steps = text.measurements.map(({ allowed }) => allowed?.learningRate as number);
    for (const [i, step] of steps.entries()) {
      expect(Math.abs(step - (dense[i] as number))).toBeLessThan(0.02 + 0.01 * step);
      const own = found.parts.attention?.texts[name].measurements[i]?.allowed?.learningRate as number;
      expect(Math.abs(own / step - 1)).toBeLessThan(1 / 64);
    }
    expect(text.allowed).toMatchObject({ status: "resolved", count: batches.length });
    expect(text.allowed.mean).toBeCloseTo(steps.reduce((a, b) => a + b, 0) / steps.length, 12);
    expect(text.allowed.standardError === null).toBe(batches.length === 1);
  }
});

it("finds the same with slopes as without, and where η = 1 is not among the points", async () => {
  const { model, direction, texts } = await problem();
  const options = { model, direction, texts, points: 4, extent: 1.3 };
  const [without, withSlopes] = [await along(options), await along({ ...options, findSlopes: true })];
  for (const name of ["one", "two"] as const) {
    const [a, b] = [without.texts[name].allowed.mean, withSlopes.texts[name].allowed.mean] as number[];
    expect(Math.abs((a as number) / (b as number) - 1)).toBeLessThan(1 / 64);
    expect(without.texts[name].points.map(({ learningRate }) => learningRate)).toContain(1);
  }
});

it("refuses a way to the same model, and no texts", async () => {
  const { model, texts } = await problem();
  const direction = await Direction.between(model, model);
  await expect(along({ model, direction, texts })).rejects.toMatchObject({ code: "ERR_NO_CHANGE" });
  const other = await Direction.random(model, { seed: 1 });
  await expect(along({ model, direction: other, texts: {} })).rejects.toThrow("options.texts");
});

it("calls what most batches do not tell by its name", () => {
  const step = (status: "converged" | "unbounded" | "unresolved", learningRate: number | null) => ({
    status,
    criticalLearningRate: learningRate ?? NaN,
    allowed: { status, learningRate },
  });
  const of = (...steps: ReturnType<typeof step>[]) => stepsOf(steps as never).allowed;
  const [one, none, noise] = [step("converged", 2), step("unbounded", null), step("unresolved", null)];
  expect(of(one, step("converged", 4))).toMatchObject({ status: "resolved", mean: 3, count: 2 });
  expect(of(one, noise)).toMatchObject({ status: "resolved", mean: 2, unresolved: 1 });
  expect(of(one, noise, noise)).toMatchObject({ status: "unresolved", unresolved: 2 });
  expect(of(noise)).toMatchObject({ status: "unresolved", mean: null });
  expect(of(none, none, one)).toMatchObject({ status: "unbounded", unbounded: 2 });
});
