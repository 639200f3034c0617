import * as z from "zod";
import { CriticalSharpnessError } from "../errors.js";
import { type OptionsOf, readOptions } from "../options/index.js";

export const criticalWarmupKeys = {
  /** Part of the smoothed ηc that η may be. Default 0.5. */
  fraction: z.number().gt(0).default(0.5).describe("Part of the smoothed ηc that η may be."),
  /** What the smoothed ηc keeps of itself with each measurement, in its logarithm. Default 0.8; 0: the last one counts alone. */
  smoothing: z
    .number()
    .min(0)
    .lt(1)
    .default(0.8)
    .describe("What the smoothed ηc keeps of itself with each measurement that lies above it."),
};

const optionsSchema = z.strictObject(criticalWarmupKeys);

export type CriticalWarmupOptions = OptionsOf<typeof criticalWarmupKeys>;

/** What a `CriticalWarmup` has seen. Plain JSON data. */
export interface CriticalWarmupState {
  version: 1;
  /** The smoothed ηc; null before the first. */
  critical: number | null;
}

/**
 * The largest learning rate that measured critical ones allow: a fraction of ηc, which is followed at once where it falls and
 * smoothed where it rises (a mean of logarithms with weights that fall off exponentially). A training whose η is the smaller of this
 * and of its schedule's warms up as fast as its curvature lets it (Kalra and Barkeshli 2024, "Why Warmup the Learning Rate?", who set the first η
 * so).
 */
export class CriticalWarmup {
  readonly #fraction: number;
  readonly #smoothing: number;
  #critical: number | null = null;

  /** @throws TypeError, RangeError naming the option. */
  constructor(options: CriticalWarmupOptions = {}) {
    const { fraction, smoothing } = readOptions(optionsSchema, options);
    this.#fraction = fraction;
    this.#smoothing = smoothing;
  }

  /**
   * η that is allowed after a measurement. One that found no crossing (`non-descent`, `unbounded`, `unresolved`) changes nothing.
   *
   * @returns Infinity before the first crossing
   */
  limit({ status, criticalLearningRate }: { status: string; criticalLearningRate: number | null }): number {
    if (status === "converged" && criticalLearningRate !== null && criticalLearningRate > 0) {
      const before = this.#critical ?? criticalLearningRate;
      const rise = Math.log(criticalLearningRate / before);
      this.#critical = rise < 0 ? criticalLearningRate : before * Math.exp((1 - this.#smoothing) * rise);
    }
    return this.current;
  }

  /** η that is allowed without a further measurement. */
  get current(): number {
    return this.#critical === null ? Infinity : this.#fraction * this.#critical;
  }

  state(): CriticalWarmupState {
    return { version: 1, critical: this.#critical };
  }

  /** @throws CriticalSharpnessError `ERR_WARMUP_STATE` if it is not the state of one. */
  restore(state: CriticalWarmupState): void {
    const { version, critical } = (state ?? {}) as Partial<CriticalWarmupState>;
    const isFit =
      critical === null || (typeof critical === "number" && Number.isFinite(critical) && critical > 0);
    if (version !== 1 || !isFit)
      throw new CriticalSharpnessError(
        "ERR_WARMUP_STATE",
        `Expected what a CriticalWarmup of this version gives for its state but received ${version === 1 ? "a damaged one" : `version ${String(version)}`}`,
      );
    this.#critical = critical as number | null;
  }
}
