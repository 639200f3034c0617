import { expect, test } from "vitest";
import { hessianEigenvalues } from "../../lib/curvature/index.js";
import { symmetricEigenpairs } from "../../lib/curvature/product.js";
import { Direction } from "../../lib/models/direction.js";
import { Batch, Curvature, createModel } from "../../lib/models/index.js";

import { relative } from "../golden/golden.js";
import { denseCurvature, directionOf, dot, numbers } from "./dense.js";

const rows = 12;
const features = 4;
/** A row's features, and the 1 that its bias is multiplied with. */
const x = Array.from({ length: rows }, (_, r) => [
  ...Array.from({ length: features }, (_, i) => Math.sin(1 + 3.1 * r + i * i)),
  1,
]);
const inputs = Float64Array.from(x.flatMap((row) => row.slice(0, features)));

/** Σ weightᵣ·xᵣxᵣᵀ */
const gram = (weight: (row: number) => number) =>
  Array.from({ length: features + 1 }, (_, i) =>
    Array.from({ length: features + 1 }, (_, j) =>
      x.reduce((sum, row, r) => sum + weight(r) * (row[i] as number) * (row[j] as number), 0),
    ),
  );

test("linear regression: H = 2XᵀX/n, in every operator", async () => {
  const config = { model_type: "mlp", layer_sizes: [features, 1], activation: "relu", loss: "mse" } as const;
  const model = await createModel(config, { seed: 1, dtype: "float64" });
  const targets = Float64Array.from({ length: rows }, (_, r) => Math.cos(r));
  const batch = Batch.examples({ inputs, targets, shape: [rows] });
  const closed = gram(() => 2 / rows);
  for (const operator of ["hessian", "gauss-newton"] as const) {
    const columns = await denseCurvature(model, batch, operator);
    for (const [i, row] of closed.entries())
      for (const [j, entry] of row.entries())
        expect(Math.abs((columns[i]?.[j] as number) - entry)).toBeLessThan(1e-14);
  }
  const [largest] = (await hessianEigenvalues({ model, batch, tolerance: 1e-12 })).eigenvalues;
  expect(relative(largest as number, symmetricEigenpairs(closed)[0]?.value as number)).toBeLessThan(1e-12);
});

test("logistic regression: H = Σ p(1 − p)xxᵀ/n along the difference of the two classes", async () => {
  const config = {
    model_type: "mlp",
    layer_sizes: [features, 2],
    activation: "relu",
    loss: "cross_entropy",
  } as const;
  const model = await createModel(config, { seed: 1, dtype: "float64" });
  const targets = Int32Array.from({ length: rows }, (_, r) => r % 2);
  const batch = Batch.examples({ inputs, targets, shape: [rows] });
  using zeros = await createModel(config, { initialization: "zeros", dtype: "float64" });
  const weights = await numbers(await Direction.between(model, zeros)); // [2, features], then [2]
  const logit = (row: readonly number[]) => {
    const of = (k: number) =>
      dot(row.slice(0, features), weights.slice(k * features, (k + 1) * features)) +
      (weights[2 * features + k] as number);
    return of(1) - of(0);
  };
  const p = x.map((row) => 1 / (1 + Math.exp(-logit(row))));
  const closed = gram((r) => ((p[r] as number) * (1 - (p[r] as number))) / rows);
  // Both classes' logits move apart by 2v: vᵀH_full·v = (2v)ᵀH(2v).
  const v = Array.from({ length: features + 1 }, (_, i) => Math.sin(2 * i + 1));
  const direction = await directionOf(
    model,
    Float64Array.from([
      ...v.slice(0, features).map((a) => -a),
      ...v.slice(0, features),
      -(v[features] as number),
      v[features] as number,
    ]),
  );
  for (const operator of ["hessian", "gauss-newton"] as const) {
    using curvature = new Curvature(model, batch, { operator });
    const { product } = await curvature.product(direction);
    const expected =
      4 *
      dot(
        v,
        closed.map((row) => dot(row, v)),
      );
    expect(relative(await direction.dot(product), expected)).toBeLessThan(1e-13);
  }
});
