import { checkBoolean, checkNumber, checkOptions, checkSignal } from "../checks.js";
import { expected } from "../errors.js";
import {
  checkCallback,
  checkMeasureOptions,
  checkModel,
  checkNames,
  type MeasureOptions,
  measureOptionNames,
  or,
} from "../measures/options.js";
import type { Model } from "../models/index.js";
import { type BatchSource, checkBatches } from "./frozen-options.js";
import { type OptimizerChoice, usualAccumulation } from "./make-optimizer.js";
import type { MixSweepEvent } from "./mix-sweep.js";

export interface MixSweepOptions extends MeasureOptions {
  model: Model;
  /** The mixture's two parts: batches of the source whose ratio is swept, and of all else in its own proportions. */
  update: { varied: BatchSource; rest: BatchSource };
  /** Batches of each task, by name: one for each repeat. They should be data that no update batch holds. */
  evaluate: Record<string, BatchSource>;
  /** From 0 to 1, ascending: what the varied source makes up of the mixture. */
  ratios: readonly number[];
  /** N: gradients in the moments of each repeat. Default: 1 with SGD without momentum, else 20. */
  accumulate?: number;
  /** Repeats, each over further batches. Default 8. */
  repeats?: number;
  /** Where repeats begin to count, for a sweep that goes on. Default 0. */
  firstRepeat?: number;
  /** What makes Δ. */
  optimizer: OptimizerChoice;
  /** Whether γθ of the optimizer's weight decay is in Δ. Default true. */
  weightDecay?: boolean;
  signal?: AbortSignal;
  /** Called for each event, in order. What it throws ends the sweep. */
  onProgress?: (event: MixSweepEvent) => void;
}

const names = [
  "model",
  "update",
  "evaluate",
  "ratios",
  "accumulate",
  "repeats",
  "firstRepeat",
  "optimizer",
  "weightDecay",
  "signal",
  "onProgress",
  ...measureOptionNames,
];

export type CheckedMixSweep = ReturnType<typeof checkMixSweep>;

export function checkMixSweep(options: unknown) {
  const given = checkNames(options, "options", names);
  const positive = { minimum: 1, integer: true };
  const model = checkModel(given.model);
  const optimizer = checkOptions(given.optimizer, "options.optimizer") as OptimizerChoice;
  const needed = usualAccumulation(optimizer);
  const accumulate = checkNumber(or(given.accumulate, needed), "options.accumulate", positive);
  const repeats = checkNumber(or(given.repeats, 8), "options.repeats", positive);
  const firstRepeat = checkNumber(or(given.firstRepeat, 0), "options.firstRepeat", {
    minimum: 0,
    integer: true,
  });
  const last = firstRepeat + repeats;
  const update = checkNames(given.update, "options.update", ["varied", "rest"]);
  const tasks = Object.entries(checkOptions(given.evaluate, "options.evaluate"));
  if (tasks.length === 0) throw expected("at least one task", "options.evaluate", "none", "range");
  return {
    model,
    varied: checkBatches(update.varied, "options.update.varied", last * accumulate),
    rest: checkBatches(update.rest, "options.update.rest", last * accumulate),
    tasks: tasks.map(
      ([name, source]) => [name, checkBatches(source, `options.evaluate.${name}`, last)] as const,
    ),
    ratios: checkRatios(given.ratios, "options.ratios"),
    accumulate,
    repeats,
    firstRepeat,
    optimizer,
    weightDecay: checkBoolean(or(given.weightDecay, true), "options.weightDecay"),
    search: checkMeasureOptions(given),
    signal: checkSignal(given.signal, "options.signal"),
    onProgress: (checkCallback(given.onProgress, "options.onProgress") ?? (() => {})) as (
      event: MixSweepEvent,
    ) => void,
  };
}

/** Ratios from 0 to 1, ascending and each once. */
export function checkRatios(value: unknown, subject: string): number[] {
  if (!Array.isArray(value) || value.length === 0)
    throw expected("an array of at least one ratio", subject, value);
  return value.map((ratio, i) =>
    checkNumber(ratio, `${subject}[${i}]`, {
      minimum: 0,
      maximum: 1,
      ...(i > 0 ? { above: value[i - 1] as number } : {}),
    }),
  );
}
