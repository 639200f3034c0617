import * as z from "zod";
import { CriticalSharpnessError, expected } from "../errors.js";
import { callback, flags, type OptionsOf, readOptions, signalSchema } from "../options/index.js";
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

/** How a line is searched. What configurations and commands have of it has a description and a flag. */
export const searchKeys = {
  /** ε of the certificate 1 − lower/upper ≤ ε. Default 1/16; at least 1e-9, below 1. */
  tolerance: z
    .number()
    .min(1e-9)
    .lt(1)
    .default(1 / 16)
    .describe("ε of ηc: 1 − lower/upper ≤ ε.")
    .register(flags, { flag: "--tolerance <x>" }),
  /**
   * `bisection` is the paper's procedure; `interpolated` needs about half its evaluations for the same certificate; `estimated` stops
   * without one, where the answer's own error is within the tolerance. Default `interpolated`.
   */
  method: z
    .enum(["interpolated", "bisection", "estimated"])
    .default("interpolated")
    .describe("Of the search.")
    .register(flags, { flag: "--method <name>" }),
  /** Where the search starts, > 0: the expected ηc. Default 1e-3. Far enough from the limits of float64 for every doubling. */
  initialLearningRate: z
    .number()
    .min(1e-200)
    .max(1e200)
    .default(1e-3)
    .describe("Where the search starts: the expected ηc.")
    .register(flags, { flag: "--initial-learning-rate <x>" }),
  /**
   * N: looks for an earlier crossing at N learning rates besides, over the three decades below the one found: three quarters of
   * them at equal distances, the rest below these at equal ratios.
   */
  scan: z
    .int()
    .min(2)
    .max(10_000)
    .optional()
    .describe("Learning rates besides at which an earlier crossing is looked for. Default: none.")
    .register(flags, { flag: "--scan <n>" }),
  /**
   * σ: standard deviation of the rounding of one loss, in the loss's units. A rise counts where it is above 4 times √2·σ, the
   * noise of a difference of two losses. Default: that of a float64, ε|L(θ)|/2. With 0 every rise counts.
   */
  lossNoise: z.number().min(0).optional(),
};

/**
 * The shape of a line near its crossing: ln(η/ηc) = a·y + b·y², where y = ln(1 + ψ(η)/s). On a quadratic a = 1, b = 0;
 * where the loss rises as η^(p+1), a = 1/p.
 */
const lineShape = z.strictObject({
  /** a, > 0 */
  inverseExponent: z.number().min(0.05).max(20),
  /** b */
  bend: z.number().min(-10).max(10),
  /** Standard deviation of a from one line to the next. */
  deviation: z.number().min(1e-3).max(10),
  /** Standard deviation of b from one line to the next. Default 0.3. */
  bendDeviation: z.number().min(1e-3).max(100).default(0.3),
});

export type LineShape = z.output<typeof lineShape>;

const learningRates = z.array(z.number().gt(0));

const searchShape = {
  ...searchKeys,
  /** L(θ), finite. Default: `lossAt(0)`, one more forward pass. */
  baseLoss: z.number().optional(),
  /** s = ∇L·Δ. Where it is not given, or 0, the search finds out by itself, in more evaluations. */
  slope: z.number().optional(),
  /** Standard error of the slope. One that is not above it says nothing, and the search looks. Default 0. */
  slopeNoise: z.number().min(0).default(0),
  /** Looked at before and after each evaluation. */
  signal: signalSchema.optional(),
  /** Called after each evaluation at η > 0. What it throws ends the search. */
  onEvaluation: callback<(evaluation: Evaluation) => void>().optional(),
  /** How far the search goes from where it starts: a factor of 2 to this power, either way. Default 40. */
  maximumDoublings: z.int().min(1).max(300).default(40),
  /**
   * Whether to look for an earlier crossing: steps up are then no longer than 2×, and the loss is looked at below the crossing
   * found, at lower/4, lower/16 and, where nothing near it was seen, just below it. With `near` it looks below only where the
   * answer jumped: more than 4× away from every learning rate given there. Default true.
   */
  firstCrossing: z
    .union(
      [z.boolean(), z.strictObject({ near: z.custom<number | readonly number[]>() })],
      "a boolean or { near }",
    )
    .default(true),
  /** For `interpolated`: standard deviation of ln(ηc/initialLearningRate), what is known of the start. Default 7. */
  initialError: z.number().min(1e-3).max(100).default(7),
  /** For `interpolated`: what the loss along the line is expected to look like. Default: near a quadratic. */
  shape: lineShape.default(unknownShape),
  /**
   * For `estimated`: by how much the deviation of a fit to 1, 2, … evaluations is to be multiplied to cover 95 % of lines; the last
   * serves for more. Default: not known; an estimate is then believed within ε of what was evaluated alone, and its `error` is ε.
   */
  errorScales: z.array(z.number().gt(0)).min(1).max(16).readonly().optional(),
  /** For `estimated`: numbers of evaluations after which an estimate is checked by one more, which tells how far it erred. Default none. */
  check: z.array(z.int().min(1)).readonly().default([]),
  /** For `estimated`: whether to go on to the certificate, so that the two can be compared (`estimate` of the result). Default false. */
  certify: z.boolean().default(false),
};

const searchSchema = z.strictObject(searchShape);

export type SearchOptions = OptionsOf<typeof searchShape>;
export type SearchMethod = NonNullable<SearchOptions["method"]>;

/** A crossing by a fit, where a search would have stopped. */
export interface EstimatedCrossing {
  /** ηc by the fit. */
  readonly learningRate: number;
  /** Relative error of ηc that covers it in 95 % of lines. */
  readonly error: number;
  /** Standard error that the rounding of losses makes, relative to it; part of `error`. */
  readonly noise: number;
}

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
  /**
   * Of an estimate: the relative error of ηc that covers it in 95 % of lines, at most the tolerance. Null of a certificate, whose
   * error `lower` and `upper` bound.
   */
  readonly error: number | null;
  /** What `estimated` would have said after how many evaluations, where `certify` went on to the certificate; else null. */
  readonly estimate: (EstimatedCrossing & { readonly evaluations: number }) | null;
  readonly status: SearchStatus;
  /** Null unless the status is `unresolved`. */
  readonly reason: UnresolvedReason | null;
  /**
   * What was done for the crossing to be the first: `probed`, no rise at lower/4 and lower/16, or within a factor of 1.2 of them;
   * `scanned`, none at N learning rates either; `bracketed`, nothing: a crossing, though maybe not the first.
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

/** Options with every default in its place. */
export interface CheckedOptions
  extends Omit<z.output<typeof searchSchema>, "slope" | "scan" | "firstCrossing"> {
  /** As it was given. */
  givenSlope: number | undefined;
  /** s where it says something: neither 0 nor within its noise. */
  slope: number | undefined;
  /** 0: none. */
  scan: number;
  firstCrossing: boolean | { near: readonly number[] };
}

/** Standard deviations that tell a number from noise: in the few evaluations of a search, noise alone comes as far in one of 10⁴. */
export const significance = 4;

/** @throws TypeError, RangeError naming the option; CriticalSharpnessError `ERR_NON_FINITE_LOSS`. */
export function checkSearchOptions(value: unknown): CheckedOptions {
  const { baseLoss } = (value ?? {}) as { baseLoss?: unknown };
  if (typeof baseLoss === "number") checkBaseLoss(baseLoss);
  const { slope, firstCrossing, scan = 0, ...given } = readOptions(searchSchema, value);
  const isTelling = slope !== undefined && Math.abs(slope) > significance * given.slopeNoise;
  return {
    ...given,
    scan,
    givenSlope: slope,
    slope: isTelling ? slope : undefined,
    firstCrossing: typeof firstCrossing === "boolean" ? firstCrossing : nearOf(firstCrossing),
  };
}

function nearOf({ near }: { near: number | readonly number[] }) {
  return { near: readOptions(learningRates, [near].flat(), "options.firstCrossing.near") };
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
