import type * as z from "zod";
import {
  constantSchedule,
  cosineSchedule,
  type Schedule,
  warmupStableDecaySchedule,
} from "../optimizers/schedules.js";
import type { trainSchema } from "./configuration-schema.js";

type Timed = Pick<z.output<typeof trainSchema>, "schedule" | "optimizer" | "steps">;

/**
 * The schedule of a run; a warm-up or decay below 1 is a part of the run's steps.
 *
 * @throws RangeError naming the part of the configuration.
 */
export function makeSchedule({ schedule, optimizer, steps }: Timed): Schedule {
  const { learningRate } = optimizer;
  const warmupSteps = inSteps(schedule.warmup, "schedule.warmup", steps);
  if ("finalLearningRate" in schedule && schedule.finalLearningRate > learningRate)
    throw new RangeError(
      `Expected a number ≤ optimizer.learningRate (${learningRate}) for schedule.finalLearningRate but received ${schedule.finalLearningRate}`,
    );
  if (schedule.type === "constant") return constantSchedule({ learningRate, warmupSteps });
  const { finalLearningRate } = schedule;
  if (schedule.type === "cosine")
    return cosineSchedule({ learningRate, warmupSteps, steps, finalLearningRate });
  const decaySteps = inSteps(schedule.decay, "schedule.decay", steps);
  const stableSteps = steps - warmupSteps - decaySteps;
  if (stableSteps < 0)
    throw new RangeError(
      `Expected at most ${steps} steps, as many as the run has, for schedule.warmup and schedule.decay but received ${warmupSteps} and ${decaySteps}`,
    );
  const decay = schedule.shape;
  return warmupStableDecaySchedule({
    learningRate,
    warmupSteps,
    stableSteps,
    decaySteps,
    finalLearningRate,
    decay,
  });
}

/** The middle of the stable phase, or of the run where the schedule has none. */
export function middleStep({ schedule, steps }: Timed): number {
  const isStable = schedule.type === "warmup-stable-decay";
  const first = isStable ? inSteps(schedule.warmup, "schedule.warmup", steps) : 0;
  const last = isStable ? steps - inSteps(schedule.decay, "schedule.decay", steps) : steps;
  return Math.max(1, Math.ceil((first + last) / 2));
}

function inSteps(duration: number, subject: string, steps: number): number {
  const whole = duration < 1 ? Math.round(duration * steps) : duration;
  if (!Number.isInteger(whole) || whole > steps)
    throw new RangeError(
      `Expected a number of steps ≤ ${steps}, or below 1 a part of them, for ${subject} but received ${duration}`,
    );
  return whole;
}
