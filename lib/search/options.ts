import { checkChoice, checkNumber, checkOptions, checkSignal } from "../checks.js";
import { CriticalSharpnessError, expected } from "../errors.js";
import { unknownShape } from "./estimate.js";
import type { Evaluation, LineShape, LossAt, SearchMethod, SearchOptions } from "./types.js";

/** Options with every default filled in. */
export interface CheckedOptions {
  baseLoss: number | undefined;
  /** As it was given. */
  givenSlope: number | undefined;
  /** s where it says something: neither 0 nor within its noise. */
  slope: number | undefined;
  lossNoise: number | undefined;
  scan: number;
  initialLearningRate: number;
  tolerance: number;
  method: SearchMethod;
  signal: AbortSignal | undefined;
  onEvaluation: ((evaluation: Evaluation) => void) | undefined;
  maximumDoublings: number;
  firstCrossing: boolean | { near: readonly number[] };
  initialError: number;
  shape: LineShape;
}

const known = new Set<string>([
  "baseLoss",
  "slope",
  "slopeNoise",
  "lossNoise",
  "scan",
  "initialLearningRate",
  "tolerance",
  "method",
  "signal",
  "onEvaluation",
  "maximumDoublings",
  "firstCrossing",
  "initialError",
  "shape",
] satisfies (keyof SearchOptions)[]);

/** Standard deviations that tell a number from noise: in the few evaluations of a search, noise alone comes as far in one of 10⁴. */
export const significance = 4;

/** Smallest and largest number a learning rate may start from: far enough from the limits of float64 for every doubling. */
const smallest = 1e-200;
const largest = 1e200;

/** @throws TypeError, RangeError naming the option; CriticalSharpnessError `ERR_NON_FINITE_LOSS`. */
export function checkSearchOptions(value: unknown): CheckedOptions {
  const given = checkOptions(value, "options");
  for (const name of Object.keys(given))
    if (!known.has(name))
      throw expected(`one of ${[...known].join(", ")}`, "the name of an option", name, "range");
  const number = (name: keyof SearchOptions, fallback: number, bounds: Parameters<typeof checkNumber>[2]) =>
    given[name] === undefined ? fallback : checkNumber(given[name], `options.${name}`, bounds);
  const optional = (name: keyof SearchOptions) =>
    given[name] === undefined ? undefined : checkNumber(given[name], `options.${name}`);
  if (given.onEvaluation !== undefined && typeof given.onEvaluation !== "function")
    throw expected("a function", "options.onEvaluation", given.onEvaluation);
  if (typeof given.baseLoss === "number") checkBaseLoss(given.baseLoss);
  const givenSlope = optional("slope");
  const slopeNoise = number("slopeNoise", 0, { minimum: 0 });
  const telling = givenSlope !== undefined && Math.abs(givenSlope) > significance * slopeNoise;
  return {
    baseLoss: optional("baseLoss"),
    givenSlope,
    slope: telling ? givenSlope : undefined,
    lossNoise: given.lossNoise === undefined ? undefined : number("lossNoise", 0, { minimum: 0 }),
    scan: number("scan", 0, { minimum: 2, maximum: 10_000, integer: true }),
    initialLearningRate: number("initialLearningRate", 1e-3, { minimum: smallest, maximum: largest }),
    tolerance: number("tolerance", 1 / 16, { minimum: 1e-9, below: 1 }),
    method:
      given.method === undefined
        ? "interpolated"
        : checkChoice(given.method, "options.method", ["interpolated", "bisection"]),
    signal: checkSignal(given.signal, "options.signal"),
    onEvaluation: given.onEvaluation as CheckedOptions["onEvaluation"],
    maximumDoublings: number("maximumDoublings", 40, { minimum: 1, maximum: 300, integer: true }),
    firstCrossing: checkFirstCrossing(given.firstCrossing),
    initialError: number("initialError", 7, { minimum: 1e-3, maximum: 100 }),
    shape: checkShape(given.shape),
  };
}

export function checkLossAt(value: unknown): LossAt {
  if (typeof value !== "function") throw expected("a function of the learning rate", "lossAt", value);
  return value as LossAt;
}

/** The loss at η = 0, if it can be compared with. */
export function checkBaseLoss(loss: number): number {
  if (!Number.isFinite(loss))
    throw new CriticalSharpnessError(
      "ERR_NON_FINITE_LOSS",
      `Expected a finite number for the loss at learning rate 0 but received ${loss}`,
    );
  return loss;
}

function checkFirstCrossing(value: unknown): CheckedOptions["firstCrossing"] {
  if (value === undefined) return true;
  if (typeof value === "boolean") return value;
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw expected("a boolean or { near }", "options.firstCrossing", value);
  const { near } = value as { near?: unknown };
  const all: unknown[] = Array.isArray(near) ? near : [near];
  return { near: all.map((n) => checkNumber(n, "options.firstCrossing.near", { above: 0 })) };
}

function checkShape(value: unknown): LineShape {
  if (value === undefined) return unknownShape;
  const { inverseExponent, bend, deviation } = checkOptions(value, "options.shape");
  return {
    inverseExponent: checkNumber(inverseExponent, "options.shape.inverseExponent", {
      minimum: 0.05,
      maximum: 20,
    }),
    bend: checkNumber(bend, "options.shape.bend", { minimum: -10, maximum: 10 }),
    deviation: checkNumber(deviation, "options.shape.deviation", { minimum: 1e-3, maximum: 10 }),
  };
}
