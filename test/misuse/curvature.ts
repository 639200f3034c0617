import {
  directionalSharpness,
  eigenvectorWeights,
  hessianEigenvalues,
  hessianTrace,
  spectralDensity,
} from "../../lib/curvature/index.js";
import { Curvature, createModel, Direction } from "../../lib/index.js";
import { each, mlp, type Row, type World } from "./world.js";

type Call = (options: never) => Promise<unknown>;
const of =
  (call: Call, change: object) =>
  ({ model, batch }: World) =>
    call({ model, batch, ...change } as never);
const eigenvalues = (change: object) => of(hessianEigenvalues, change);
const directional = (change: object) => (world: World) =>
  directionalSharpness({
    model: world.model,
    batch: world.batch,
    direction: world.direction,
    ...change,
  } as never);
const rounding = () => createModel(mlp, { seed: 1, dtype: "bfloat16" });
const noCount = [0, -1, 1.5, NaN, "2", null];

/** hessianEigenvalues, hessianTrace, spectralDensity, directionalSharpness, eigenvectorWeights. */
export const curvatureRows: Row[] = [
  ...each("hessianEigenvalues of", [undefined, null, 3, []], (options) => hessianEigenvalues(options)),
  ...each("hessianTrace of", [null, {}], (options) => hessianTrace(options)),
  ...each("spectralDensity of", [null, {}], (options) => spectralDensity(options)),
  ...each("directionalSharpness of", [null, {}], (options) => directionalSharpness(options)),
  ...each("eigenvectorWeights of", [null, {}], (options) => eigenvectorWeights(options)),
  ...each("the model of a Hessian", [null, {}], (model, w) => eigenvalues({ model })(w)),
  ...each("the batch of a Hessian", [null, {}], (batch, w) => eigenvalues({ batch })(w)),
  ...each("operator", ["ggn", 1, null], (operator, w) => eigenvalues({ operator })(w)),
  ...each("preconditioner", [null, 1, {}], (preconditioner, w) => eigenvalues({ preconditioner })(w)),
  ["a preconditioner that is negative", (w) => eigenvalues({ preconditioner: w.direction })(w)],
  ["another model's preconditioner", (w) => eigenvalues({ preconditioner: w.foreign })(w)],
  ["a disposed preconditioner", (w) => eigenvalues({ preconditioner: w.gone.direction })(w)],
  ...each("count", noCount, (count, w) => eigenvalues({ count })(w)),
  ["more eigenvalues than there are weights", eigenvalues({ count: 1000 })],
  ...each("which", ["top", 1, null], (which, w) => eigenvalues({ which })(w)),
  ...each("the method of eigenvalues", ["qr", 1, null], (method, w) => eigenvalues({ method })(w)),
  ["two eigenvalues of the power method", eigenvalues({ method: "power", count: 2 })],
  ["the smallest eigenvalue of the power method", eigenvalues({ method: "power", which: "smallest" })],
  ...each("tolerance of eigenvalues", [0, 1, -1, NaN, "0.1"], (tolerance, w) =>
    eigenvalues({ tolerance })(w),
  ),
  ...each("maximumIterations", noCount, (maximumIterations, w) => eigenvalues({ maximumIterations })(w)),
  ...each("basisSize", [2, 3.5, NaN, "9", null], (basisSize, w) => eigenvalues({ basisSize })(w)),
  ...each("initial", [null, 3, [], [3]], (initial, w) => eigenvalues({ initial })(w)),
  ["another model's direction to start from", (w) => eigenvalues({ initial: w.foreign })(w)],
  [
    "another model's direction among those to start from",
    (w) => eigenvalues({ initial: [w.direction, w.foreign] })(w),
  ],
  ["a direction of zeros to start from", (w) => eigenvalues({ initial: w.direction.mask([]) })(w)],
  ...each("eigenvectors", [1, "yes", null], (eigenvectors, w) => eigenvalues({ eigenvectors })(w)),
  ...each("onIteration", [1, {}, null], (onIteration, w) => eigenvalues({ onIteration })(w)),
  ...each("seed of a Hessian", [-1, 0.5, NaN, "1", null], (seed, w) => eigenvalues({ seed })(w)),
  ...each("microBatch of a Hessian", [0, 1.5, "2", null], (microBatch, w) => eigenvalues({ microBatch })(w)),
  ...each("signal of a Hessian", [null, {}], (signal, w) => eigenvalues({ signal })(w)),
  ["an option of the Hessian of unknown name", eigenvalues({ k: 1 })],
  ["a Hessian of tokens", (w) => eigenvalues({ batch: w.tokens })(w)],
  ["a Hessian of a disposed model", (w) => eigenvalues({ model: w.gone.model })(w)],
  ["a Hessian in bfloat16", async (w) => eigenvalues({ model: await rounding() })(w)],
  ...each("products of a trace", [...noCount, 1], (products, w) => of(hessianTrace, { products })(w)),
  ["too few products for Hutch++", of(hessianTrace, { method: "hutch++", products: 5 })],
  ...each("the method of a trace", ["sum", 1], (method, w) => of(hessianTrace, { method })(w)),
  ...each("steps of a density", noCount, (steps, w) => of(spectralDensity, { steps })(w)),
  ...each("probes", noCount, (probes, w) => of(spectralDensity, { probes })(w)),
  ...each("points of a density", [1, 2.5, 1e9, "9"], (points, w) => of(spectralDensity, { points })(w)),
  ...each("bandwidth", [0, -1, 2, NaN, "1"], (bandwidth, w) => of(spectralDensity, { bandwidth })(w)),
  ...each("the direction of λdir", [undefined, null, 3, {}], (direction, w) => directional({ direction })(w)),
  ...each("the slope of λdir", [NaN, "1", null], (slope, w) => directional({ slope })(w)),
  ["a slope of 0", directional({ slope: 0 })],
  ["both a slope and a gradient of λdir", (w) => directional({ slope: 1, gradient: w.gradient })(w)],
  [
    "the gradient of another batch for λdir",
    (w) => directional({ gradient: { ...w.gradient, batch: w.classes } })(w),
  ],
  ...each("the method of λdir", ["exact", 1, null], (method, w) => directional({ method })(w)),
  ...each("criticalLearningRate", [0, -1, NaN, Infinity, "1", null], (criticalLearningRate, w) =>
    directional({ criticalLearningRate })(w),
  ),
  ["a preconditioner of λdir", (w) => directional({ preconditioner: w.direction })(w)],
  ["another model's direction for λdir", (w) => directional({ direction: w.foreign })(w)],
  ["λdir along zeros", (w) => directional({ direction: w.direction.mask([]) })(w)],
  [
    "differences for the Gauss–Newton matrix",
    directional({ method: "central-difference", operator: "gauss-newton" }),
  ],
  [
    "an exact product for λdir in bfloat16",
    async (w) => directional({ model: await rounding(), method: "hvp" })(w),
  ],
  ...each(
    "eigen",
    [null, 3, {}, { eigenvalues: [1], eigenvectors: [] }, { eigenvalues: [1], eigenvectors: [3] }],
    (eigen, { gradient }) => eigenvectorWeights({ eigen, gradient }),
  ),
  [
    "a gradient of zeros along eigenvectors",
    ({ direction }) =>
      eigenvectorWeights({
        eigen: { eigenvalues: [1], eigenvectors: [direction] },
        gradient: direction.mask([]),
      }),
  ],
  [
    "a gradient without eigenvectors of its model",
    ({ direction, foreign }) =>
      eigenvectorWeights({ eigen: { eigenvalues: [1], eigenvectors: [foreign] }, gradient: direction }),
  ],
];

const nothings = [undefined, null, 3, "x", {}];

/** Curvature, and what directions do for it. */
export const curvatureVectorRows: Row[] = [
  ...each("new Curvature of", nothings, (model, { batch }) => new Curvature(model, batch)),
  ...each("the batch of a Curvature", nothings, (batch, { model }) => new Curvature(model, batch)),
  ["a Curvature of classes", (w) => new Curvature(w.model, w.classes)],
  ...each(
    "the operator of a Curvature",
    ["H", 1, null],
    (operator, w) => new Curvature(w.model, w.batch, { operator }),
  ),
  ...each(
    "microBatch of a Curvature",
    [0, 1.5, "2", null],
    (microBatch, w) => new Curvature(w.model, w.batch, { microBatch }),
  ),
  ...each("keep", [0, "yes", null], (keep, w) => new Curvature(w.model, w.batch, { keep })),
  ...each("the direction of a product", nothings, (direction, w) =>
    new Curvature(w.model, w.batch).product(direction),
  ),
  ...each("the signal of a product", [null, {}], (signal, w) =>
    new Curvature(w.model, w.batch).product(w.direction, { signal }),
  ),
  ["another model's direction multiplied", (w) => new Curvature(w.model, w.batch).product(w.foreign)],
  [
    "a direction of another precision multiplied",
    (w) => new Curvature(w.model, w.batch).product(w.wideDirection),
  ],
  ["a product in bfloat16", async (w) => new Curvature(await rounding(), w.batch).product(w.direction)],
  ...each("Direction.random of", nothings, (model) => Direction.random(model, { seed: 1 })),
  ...each("the seed of Direction.random", [undefined, -1, 0.5, "1"], (seed, { model }) =>
    Direction.random(model, { seed }),
  ),
  ...each("distribution", ["uniform", 1], (distribution, { model }) =>
    Direction.random(model, { seed: 1, distribution }),
  ),
  ...each("Direction.combine of", [undefined, null, [], [3]], (directions) =>
    Direction.combine(directions, [1]),
  ),
  ...each("coefficients", [undefined, null, [], [1, 2], ["1"], [NaN]], (coefficients, { direction }) =>
    Direction.combine([direction], coefficients),
  ),
  ["a combination of two models' directions", (w) => Direction.combine([w.direction, w.foreign], [1, 1])],
  ...each("multiply by", nothings, (other, { direction }) => direction.multiply(other)),
  ["multiply by another model's direction", (w) => w.direction.multiply(w.foreign)],
  ["1/√x of negative numbers", (w) => w.direction.inverseSquareRoot()],
  ["1/√x of zeros", (w) => w.direction.mask([]).inverseSquareRoot()],
];
