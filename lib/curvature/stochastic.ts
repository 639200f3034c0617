import * as z from "zod";
import { expected } from "../errors.js";
import { Direction } from "../models/index.js";
import { count, type OptionsOf, readOptions } from "../options/index.js";
import { statistics } from "../statistics.js";
import { KrylovSpace } from "./lanczos.js";
import { type CurvatureOptions, CurvatureProduct, curvatureOptions } from "./product.js";

const traceShape = {
  /**
   * `hutchinson` (default): the mean of zᵀAz over random signs z. `hutch++` (Meyer et al. 2021) first takes out what a third
   * of its products find of the range of A: fewer products where a few eigenvalues dominate, but it keeps a third as many
   * vectors as products.
   */
  method: z.enum(["hutchinson", "hutch++"]).default("hutchinson"),
  /** Products with the curvature, at least 2 (hutch++: at least 6). Default 30. */
  products: count.default(30),
};

const traceSchema = z.strictObject({ ...curvatureOptions, ...traceShape });

export interface TraceOptions extends CurvatureOptions, OptionsOf<typeof traceShape> {}

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
  const { method, products, ...curvature } = readOptions(traceSchema, options);
  const minimum = method === "hutch++" ? 6 : 2;
  if (products < minimum) throw expected(`an integer ≥ ${minimum}`, "options.products", products, "range");
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

const densityShape = {
  /** Lanczos steps from each random vector: as many nodes, and as many vectors in memory. Default 40. */
  steps: count.default(40),
  /** Random vectors. Default 3. */
  probes: count.default(3),
  /** Points of the grid. Default 256. */
  points: z.int().min(2).max(1e6).default(256),
  /** Standard deviation σ of the Gaussian that stands for each node, over the nodes' range. Default 0.01. */
  bandwidth: z.number().gt(0).max(1).default(0.01),
};

const densitySchema = z.strictObject({ ...curvatureOptions, ...densityShape });

export interface DensityOptions extends CurvatureOptions, OptionsOf<typeof densityShape> {}

export interface SpectralDensity {
  /** The quadrature: eigenvalues with weights that add up to 1, ascending. */
  nodes: { eigenvalue: number; weight: number }[];
  /** Evenly spaced eigenvalues, three σ beyond the nodes on either side. */
  grid: number[];
  /** Of eigenvalues at the grid's points, per unit; its integral by the trapezoidal rule is 1. */
  density: number[];
  /** Products with the curvature. */
  products: number;
}

/**
 * Density of the eigenvalues of the Hessian of a batch's mean loss, or of P^(−½)HP^(−½), by stochastic Lanczos quadrature
 * (Ubaru et al. 2017; Ghorbani et al. 2019).
 *
 * @throws as `hessianEigenvalues`.
 */
export async function spectralDensity(options: DensityOptions): Promise<SpectralDensity> {
  const { steps, probes, points, bandwidth, ...curvature } = readOptions(densitySchema, options);
  using space = await KrylovSpace.open(curvature);
  const nodes: SpectralDensity["nodes"] = [];
  for (let i = 0; i < probes; i++) {
    using probe = await Direction.random(curvature.model, { seed: curvature.seed + i });
    await space.start(probe);
    do await space.step();
    while (space.size < steps && !space.exhausted);
    for (const { value, vector } of space.ritzPairs())
      nodes.push({ eigenvalue: value, weight: (vector[0] as number) ** 2 / probes });
  }
  nodes.sort((a, b) => a.eigenvalue - b.eigenvalue);
  const rounding = roundingOf[curvature.model.dtype === "float64" ? "float64" : "float32"];
  return { nodes, ...smooth(nodes, { points, bandwidth, rounding }), products: space.products };
}

/** How far apart rounding may put equal eigenvalues, relative to the largest: some units of the products' last place. */
const roundingOf = { float32: 1e-6, float64: 1e-13 };

function smooth(
  nodes: SpectralDensity["nodes"],
  { points, bandwidth, rounding }: { points: number; bandwidth: number; rounding: number },
) {
  const lowest = (nodes[0] as { eigenvalue: number }).eigenvalue;
  const highest = (nodes.at(-1) as { eigenvalue: number }).eigenvalue;
  const size = Math.max(Math.abs(lowest), Math.abs(highest));
  // A matrix whose eigenvalues are all equal has no range, whatever rounding says.
  const range = highest - lowest > rounding * size ? highest - lowest : size || 1;
  const sigma = bandwidth * range;
  const start = lowest - 3 * sigma;
  const step = (highest - lowest + 6 * sigma) / (points - 1);
  const grid = Array.from({ length: points }, (_, i) => start + i * step);
  const heights = grid.map((x) =>
    nodes.reduce((sum, n) => sum + n.weight * Math.exp(-(((x - n.eigenvalue) / sigma) ** 2) / 2), 0),
  );
  // By the trapezoidal rule the integral is 1, on a coarse grid too.
  const ends = ((heights[0] as number) + (heights.at(-1) as number)) / 2;
  const integral = step * (heights.reduce((sum, height) => sum + height, 0) - ends);
  return { grid, density: heights.map((height) => height / integral) };
}
