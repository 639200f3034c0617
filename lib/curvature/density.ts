import { Direction } from "../models/index.js";
import { checkNames, checkNumber, or } from "../options/index.js";

import { KrylovSpace } from "./krylov-space.js";
import { type CurvatureOptions, checkCurvature, curvatureNames } from "./options.js";

export interface DensityOptions extends CurvatureOptions {
  /** Lanczos steps from each random vector: as many nodes, and as many vectors in memory. Default 40. */
  steps?: number;
  /** Random vectors. Default 3. */
  probes?: number;
  /** Points of the grid. Default 256. */
  points?: number;
  /** Standard deviation σ of the Gaussian that stands for each node, over the nodes' range. Default 0.01. */
  bandwidth?: number;
}

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
  const names = [...curvatureNames, "steps", "probes", "points", "bandwidth"];
  const given = checkNames(options, "options", names);
  const curvature = checkCurvature(given);
  const steps = checkNumber(or(given.steps, 40), "options.steps", { minimum: 1, integer: true });
  const probes = checkNumber(or(given.probes, 3), "options.probes", { minimum: 1, integer: true });
  const points = checkNumber(or(given.points, 256), "options.points", {
    minimum: 2,
    maximum: 1e6,
    integer: true,
  });
  const bandwidth = checkNumber(or(given.bandwidth, 0.01), "options.bandwidth", { above: 0, maximum: 1 });
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
