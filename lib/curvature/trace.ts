import { Direction } from "../models/index.js";
import { checkChoice, checkNames, checkNumber, or } from "../options/index.js";

import { statistics } from "../statistics.js";
import { type CurvatureOptions, checkCurvature, curvatureNames } from "./options.js";
import { CurvatureProduct } from "./product.js";

export interface TraceOptions extends CurvatureOptions {
  /**
   * `hutchinson` (default): the mean of zᵀAz over random signs z. `hutch++` (Meyer et al. 2021) first takes out what a third
   * of its products find of the range of A: fewer products where a few eigenvalues dominate, but it keeps a third as many
   * vectors as products.
   */
  method?: "hutchinson" | "hutch++";
  /** Products with the curvature, at least 2 (hutch++: at least 6). Default 30. */
  products?: number;
}

export interface TraceResult {
  trace: number;
  /** Standard error of the trace, from the spread of the random samples. */
  standardError: number;
  /** Products with the curvature. */
  products: number;
}

/**
 * Trace of the Hessian of a batch's mean loss, or of P^(−½)HP^(−½), by random sampling.
 *
 * @throws as `hessianEigenvalues`.
 */
export async function hessianTrace(options: TraceOptions): Promise<TraceResult> {
  const given = checkNames(options, "options", [...curvatureNames, "method", "products"]);
  const curvature = checkCurvature(given);
  const method = checkChoice(or(given.method, "hutchinson"), "options.method", ["hutchinson", "hutch++"]);
  const minimum = method === "hutch++" ? 6 : 2;
  const products = checkNumber(or(given.products, 30), "options.products", { minimum, integer: true });
  let seed = curvature.seed;
  const draw = () => Direction.random(curvature.model, { seed: seed++, distribution: "rademacher" });
  using operator = await CurvatureProduct.open(curvature);
  const third = method === "hutch++" ? Math.floor(products / 3) : 0;
  const range: Direction[] = [];
  try {
    for (let i = 0; i < third; i++) {
      using sketch = await draw();
      using image = await operator.of(sketch);
      const next = await orthonormalized(image, range);
      if (next) range.push(next);
    }
    let known = 0;
    for (const q of range) known += await operator.along(q);
    const samples: number[] = [];
    while (samples.length < products - 2 * third) {
      using sketch = await draw();
      using rest = await without(sketch, range);
      samples.push(await operator.along(rest));
    }
    const { mean, standardError } = statistics(samples);
    return { trace: known + mean, standardError, products: operator.products };
  } finally {
    for (const q of range) q.dispose();
  }
}

/** x less its part within the span of orthonormal vectors. */
async function without(x: Direction, basis: readonly Direction[]): Promise<Direction> {
  const coefficients = [];
  for (const q of basis) coefficients.push(-(await q.dot(x)));
  return Direction.combine([x, ...basis], [1, ...coefficients]);
}

/** The same, twice for orthogonality to the last bit, and normalised; undefined where nothing is left. */
async function orthonormalized(x: Direction, basis: readonly Direction[]): Promise<Direction | undefined> {
  using once = await without(x, basis);
  using twice = await without(once, basis);
  const norm = await twice.norm();
  const negligible = (x.dtype === "float64" ? 1e-14 : 1e-6) * (await x.norm());
  return norm > negligible ? twice.scale(1 / norm) : undefined;
}
