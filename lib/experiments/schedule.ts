import * as z from "zod";
import {
  constantSchedule,
  cosineSchedule,
  criticalWarmupKeys,
  type Schedule,
  warmupStableDecaySchedule,
} from "../optimizers/index.js";
import { section } from "../options/index.js";

/** A number of steps, or below 1 a part of all of them. */
const duration = z.number().min(0);
const warmup = duration.describe("Steps of linear warm-up; below 1 a part of all steps.");
const finalLearningRate = z.number().min(0).default(0).describe("η at the end.");

/** How η changes over the steps of a run, by the step alone. */
export const stepScheduleSchema = z.discriminatedUnion("type", [
  section({ type: z.literal("constant"), warmup: warmup.default(0) }),
  section({ type: z.literal("cosine"), warmup: warmup.default(0), finalLearningRate }),
  section({
    type: z.literal("warmup-stable-decay"),
    warmup,
    decay: duration.describe("Steps of decay at the end; below 1 a part of all steps."),
    shape: z.enum(["linear", "cosine", "sqrt"]).default("linear").describe("Of the decay."),
    finalLearningRate,
  }),
]);

/** How η changes over the steps of a run. */
export const scheduleSchema = z.discriminatedUnion("type", [
  ...stepScheduleSchema.options,
  section({
    type: z.literal("critical"),
    ...criticalWarmupKeys,
    within: stepScheduleSchema
      .default({ type: "constant", warmup: 0 })
      .describe("The schedule that η follows where ηc lets it."),
  }).describe("η is a fraction of the measured ηc at most, see `CriticalWarmup`."),
]);

/** What a schedule says by the step alone: of one that measures, the most that η may be. */
export function stepSchedule(schedule: z.output<typeof scheduleSchema>): z.output<typeof stepScheduleSchema> {
  return schedule.type === "critical" ? schedule.within : schedule;
}

/**
 * The schedule of a run; a warm-up or decay below 1 is a part of the run's steps.
 *
 * @param learningRate the highest
 * @throws RangeError naming the part of the configuration.
 */
export function makeSchedule(
  { schedule: given, steps }: { schedule: z.output<typeof scheduleSchema>; steps: number },
  learningRate: number,
): Schedule {
  const schedule = stepSchedule(given);
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

/** A duration as a number of steps. @throws RangeError naming the part of the configuration. */
export function inSteps(duration: number, subject: string, steps: number): number {
  const whole = duration < 1 ? Math.round(duration * steps) : duration;
  if (!Number.isInteger(whole) || whole > steps)
    throw new RangeError(
      `Expected a number of steps ≤ ${steps}, or below 1 a part of them, for ${subject} but received ${duration}`,
    );
  return whole;
}
