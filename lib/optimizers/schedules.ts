import { checkChoice, checkNumber, checkOptions } from "../options/index.js";

/** The learning rate η of a step; steps count from 1. A pure function. */
export type Schedule = (step: number) => number;

export interface ConstantOptions {
  /** η after the warm-up. */
  learningRate: number;
  /** W: steps of linear warm-up. Default 0. */
  warmupSteps?: number;
}

export interface CosineOptions extends ConstantOptions {
  /** T: steps in all, warm-up included. */
  steps: number;
  /** η_end. Default 0. */
  finalLearningRate?: number;
}

export interface WarmupStableDecayOptions extends ConstantOptions {
  /** S: steps at the full learning rate. */
  stableSteps: number;
  /** D: steps of decay. */
  decaySteps: number;
  /** η_end. Default 0. */
  finalLearningRate?: number;
  /** f(p) = 1 − p (`linear`, the default), ½(1 + cos πp) (`cosine`) or 1 − √p (`sqrt`). */
  decay?: "linear" | "cosine" | "sqrt";
}

const decays = {
  linear: (p: number) => 1 - p,
  cosine: (p: number) => (1 + Math.cos(Math.PI * p)) / 2,
  sqrt: (p: number) => 1 - Math.sqrt(p),
};
const count = { minimum: 0, integer: true };

/**
 * η(t) = η·min(1, t/W).
 *
 * @throws TypeError, RangeError naming the option.
 */
export function constantSchedule(options: ConstantOptions): Schedule {
  const { learningRate, warmupSteps } = checkPeak(options);
  return (step) => warmUp(checkStep(step), warmupSteps, learningRate) ?? learningRate;
}

/**
 * η(t) = η·t/W up to step W, then η_end + (η − η_end)·½(1 + cos πp) with p = (t − W)/(T − W + 1) (Loshchilov & Hutter
 * 2017, one period). p = 1, the end, is the step after the last, so that no step of the run is taken with η_end = 0.
 *
 * @throws TypeError, RangeError naming the option.
 */
export function cosineSchedule(options: CosineOptions): Schedule {
  const { learningRate, warmupSteps, finalLearningRate } = checkPeak(options);
  const steps = checkNumber(options.steps, "options.steps", {
    minimum: Math.max(1, warmupSteps),
    integer: true,
  });
  return (step) => {
    const t = checkStep(step);
    const progress = Math.min(1, (t - warmupSteps) / (steps - warmupSteps + 1));
    return (
      warmUp(t, warmupSteps, learningRate) ??
      between(learningRate, finalLearningRate, decays.cosine(progress))
    );
  };
}

/**
 * η(t) = η·t/W up to step W, η up to step W + S, then η_end + (η − η_end)·f(p) with p = (t − W − S)/(D + 1) (Hu et al.
 * 2024). p = 1, the end, is the step after the last, so that no step of the run is taken with η_end = 0.
 *
 * @throws TypeError, RangeError naming the option.
 */
export function warmupStableDecaySchedule(options: WarmupStableDecayOptions): Schedule {
  const { learningRate, warmupSteps, finalLearningRate } = checkPeak(options);
  const stableSteps = checkNumber(options.stableSteps, "options.stableSteps", count);
  const decaySteps = checkNumber(options.decaySteps, "options.decaySteps", count);
  const decay =
    decays[
      options.decay === undefined
        ? "linear"
        : checkChoice(options.decay, "options.decay", ["linear", "cosine", "sqrt"])
    ];
  return (step) => {
    const t = checkStep(step);
    const progress = (t - warmupSteps - stableSteps) / (decaySteps + 1);
    return (
      warmUp(t, warmupSteps, learningRate) ??
      (progress <= 0 ? learningRate : between(learningRate, finalLearningRate, decay(Math.min(1, progress))))
    );
  };
}

function checkPeak(options: unknown) {
  const { learningRate, warmupSteps, finalLearningRate } = checkOptions(options, "options");
  const peak = checkNumber(learningRate, "options.learningRate", { minimum: 0 });
  return {
    learningRate: peak,
    warmupSteps: warmupSteps === undefined ? 0 : checkNumber(warmupSteps, "options.warmupSteps", count),
    finalLearningRate:
      finalLearningRate === undefined
        ? 0
        : checkNumber(finalLearningRate, "options.finalLearningRate", { minimum: 0, maximum: peak }),
  };
}

function checkStep(step: number): number {
  return checkNumber(step, "step", { minimum: 1, integer: true });
}

/** undefined once the warm-up is over. */
function warmUp(step: number, warmupSteps: number, learningRate: number): number | undefined {
  return step < warmupSteps ? (learningRate * step) / warmupSteps : undefined;
}

/** Clamped: rounding must not take η past either end. */
function between(peak: number, end: number, fraction: number): number {
  return Math.min(peak, Math.max(end, end + (peak - end) * fraction));
}
