import { expected } from "../../errors.js";
import { checkModel, type Model } from "../../models/index.js";

import { type OptimizerChoice, usualAccumulation } from "../../optimizers/index.js";
import {
  checkBoolean,
  checkCallback,
  checkNames,
  checkNumber,
  checkOptions,
  checkSignal,
  or,
} from "../../options/index.js";

import { checkMeasureOptions, type MeasureOptions, measureOptionNames } from "../../sharpness/index.js";
import { type BatchSource, checkBatches } from "../checkpoints/frozen-options.js";
import type { MixSource } from "./gradients.js";
import type { MixSweepEvent } from "./sweep.js";

export interface MixSweepOptions extends MeasureOptions {
  model: Model;
  /**
   * What mixtures are made of: the source whose ratio is swept, and the rest, one source or several by name with their shares of
   * it. A mixture's batch has as many rows as the varied source's batch of that place, and takes the first ones of each source's:
   * their order should be random. A source of the rest needs no more rows than it gives at the smallest ratio.
   */
  update: {
    varied: BatchSource;
    rest: BatchSource | Record<string, { share: number; batches: BatchSource }>;
  };
  /** Batches of each task, by name: one for each repeat. They should be data that no update batch holds. */
  evaluate: Record<string, BatchSource>;
  /** From 0 to 1, ascending: what the varied source makes up of the mixture. */
  ratios: readonly number[];
  /** N: gradients in the moments of each repeat. Default: 1 where Δ is made of the last one alone, else 20. */
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
  const ratios = checkRatios(given.ratios, "options.ratios");
  const update = checkNames(given.update, "options.update", ["varied", "rest"]);
  const tasks = Object.entries(checkOptions(given.evaluate, "options.evaluate"));
  if (tasks.length === 0) throw expected("at least one task", "options.evaluate", "none", "range");
  return {
    model,
    sources: checkSources(update, ratios, last * accumulate),
    tasks: tasks.map(
      ([name, source]) => [name, checkBatches(source, `options.evaluate.${name}`, last)] as const,
    ),
    ratios,
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

/** The varied source and the rest, with their shares at each ratio. */
function checkSources(
  { varied, rest }: Record<string, unknown>,
  ratios: readonly number[],
  needed: number,
): MixSource[] {
  const first = {
    name: "the varied source",
    batchAt: checkBatches(varied, "options.update.varied", needed),
    shares: ratios,
  };
  const subject = "options.update.rest";
  if (typeof rest !== "object" || rest === null || Array.isArray(rest)) {
    const batchAt = checkBatches(rest, subject, needed);
    return [first, { name: "the rest of the mixture", batchAt, shares: ratios.map((ratio) => 1 - ratio) }];
  }
  const parts = Object.entries(rest).map(([name, part]) => {
    const { share, batches } = checkNames(part, `${subject}.${name}`, ["share", "batches"]);
    return {
      name,
      share: checkNumber(share, `${subject}.${name}.share`, { above: 0 }),
      batchAt: checkBatches(batches, `${subject}.${name}.batches`, needed),
    };
  });
  if (parts.length === 0) throw expected("at least one source", subject, "none", "range");
  const total = parts.reduce((sum, { share }) => sum + share, 0);
  return [
    first,
    ...parts.map(({ name, share, batchAt }) => ({
      name: `the source "${name}"`,
      batchAt,
      shares: ratios.map((ratio) => (share / total) * (1 - ratio)),
    })),
  ];
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
