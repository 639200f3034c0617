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
   * N: looks for an earlier crossing at N learning rates besides, at equal ratios over the three decades below the one found.
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
