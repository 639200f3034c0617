import { CriticalSharpnessError, expected } from "../errors.js";
import { checkChoice, checkNumber, checkOptions, checkSignal } from "../options/index.js";
import { unknownShape } from "./estimate.js";

/** How a search ended. */
export type SearchStatus =
  /** A crossing was enclosed to the tolerance. */
  | "converged"
  /** Δ does not descend: s < 0, or the loss rose at every learning rate at which a rise can be told. ηc = 0, λc = Infinity. */
  | "non-descent"
  /** The loss did not rise at any learning rate up to the cap. ηc = Infinity, λc = 0. */
  | "unbounded"
  /** It cannot be told: see `reason`. ηc and λc are NaN. */
  | "unresolved";

/** Why a search is `unresolved`. */
export type UnresolvedReason =
  /** The loss changes by no more than its rounding noise. */
  | "noise"
  /** Δ descends, s > 0, but the loss rose at every learning rate down to the cap: the crossing is below it. */
  | "limit";

/** One forward pass at η > 0. */
export interface Evaluation {
  readonly learningRate: number;
  /** L(θ − η·Δ), as it came: it may be NaN or infinite. */
  readonly loss: number;
}

/** L(θ − η·Δ) as a function of η. */
export type LossAt = (learningRate: number) => number | Promise<number>;

export interface SearchOptions {
  /** L(θ), finite. Default: `lossAt(0)`, one more forward pass. */
  baseLoss?: number;
  /** s = ∇L·Δ. Where it is not given, or 0, the search finds out by itself, in more evaluations. */
  slope?: number;
  /** Standard error of the slope. One that is not above it says nothing, and the search looks. Default 0. */
  slopeNoise?: number;
  /**
   * σ: standard deviation of the rounding of one loss, in the loss's units. A rise counts where it is above 4 times √2·σ, the
   * noise of a difference of two losses. Default: that of a float64, ε|L(θ)|/2. With 0 every rise counts.
   */
  lossNoise?: number;
  /** Where the search starts, > 0: the expected ηc. Default 1e-3. */
  initialLearningRate?: number;
  /** ε of the certificate 1 − lower/upper ≤ ε. Default 1/16; at least 1e-9, below 1. */
  tolerance?: number;
  /** `bisection` is the paper's procedure; `interpolated` needs about half its evaluations. Default `interpolated`. */
  method?: SearchMethod;
  /** Looked at before and after each evaluation. */
  signal?: AbortSignal;
  /** Called after each evaluation at η > 0. What it throws ends the search. */
  onEvaluation?: (evaluation: Evaluation) => void;
  /** How far the search goes from where it starts: a factor of 2 to this power, either way. Default 40. */
  maximumDoublings?: number;
  /**
   * Whether to look for an earlier crossing: steps up are then no longer than 2×, and the loss is looked at below the crossing
   * found, at lower/4, lower/16 and, where nothing near it was seen, just below it. With `near` it looks below only where the
   * answer jumped: more than 4× away from every learning rate given there. Default true.
   */
  firstCrossing?: boolean | { near: number | readonly number[] };
  /**
   * N: looks for an earlier crossing at N learning rates besides, over the three decades below the one found: three quarters of
   * them at equal distances, the rest below these at equal ratios.
   */
  scan?: number;
  /** For `interpolated`: standard deviation of ln(ηc/initialLearningRate), what is known of the start. Default 7. */
  initialError?: number;
  /** For `interpolated`: what the loss along the line is expected to look like. Default: near a quadratic. */
  shape?: LineShape;
}

/**
 * The shape of a line near its crossing: ln(η/ηc) = a·y + b·y², where y = ln(1 + ψ(η)/s). On a quadratic a = 1, b = 0;
 * where the loss rises as η^(p+1), a = 1/p.
 */
export interface LineShape {
  /** a, > 0 */
  inverseExponent: number;
  /** b */
  bend: number;
  /** Standard deviation of a from one line to the next; b's is taken as a third of it. */
  deviation: number;
}

export type SearchMethod = "interpolated" | "bisection";

export interface SearchResult {
  /**
   * ηc: the middle of [lower, upper] or, where rises cannot be told from noise to within the tolerance, the crossing of a curve
   * through all losses; 0 for `non-descent`, Infinity for `unbounded`, NaN for `unresolved`.
   */
  readonly criticalLearningRate: number;
  /** λc = 2/ηc. */
  readonly criticalSharpness: number;
  /** The largest η below the crossing that was seen not to raise the loss; 0 if none was. */
  readonly lower: number;
  /** The smallest η that was seen to raise the loss; 0 where s < 0 made it needless to look, Infinity if none was. */
  readonly upper: number;
  readonly status: SearchStatus;
  /** Null unless the status is `unresolved`. */
  readonly reason: UnresolvedReason | null;
  /**
   * What was done for the crossing to be the first: `probed`, no rise at lower/4 and lower/16; `scanned`, none at N learning rates
   * either; `bracketed`, nothing: a crossing, though maybe not the first.
   */
  readonly firstCrossing: "probed" | "scanned" | "bracketed";
  /**
   * Standard error of ηc relative to ηc that the rounding of losses makes, √2·σ/(|dL/dη|·ηc) at the crossing. Null without a
   * crossing and where `lossNoise` is 0. Above 1/8 and the tolerance the search is `unresolved`.
   */
  readonly noise: number | null;
  /** The slope that was given. */
  readonly slope: number | null;
  /** L(θ); null where it was neither given nor needed (s < 0). */
  readonly baseLoss: number | null;
  /** In the order in which they were made. */
  readonly evaluations: readonly Evaluation[];
  /** Calls of `lossAt`, the one at η = 0 included. */
  readonly forwardPasses: number;
}

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
