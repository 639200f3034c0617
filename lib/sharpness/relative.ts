import { expected, throwIfAborted } from "../errors.js";
import {
  type Batch,
  checkBatch,
  checkDirection,
  checkModel,
  type Direction,
  type Gradient,
  type Model,
} from "../models/index.js";

import { checkBoolean, checkCallback, checkNames, checkOptions, checkSignal, or } from "../options/index.js";

import { type Evaluation, findCriticalLearningRate } from "../search/index.js";
import { type MeasuredSharpness, measureLine } from "./measure-line.js";
import {
  checkMeasureOptions,
  type MeasureOptions,
  measureOptionNames,
  searchOptions,
} from "./measure-options.js";
import { NoiseMemory } from "./noise.js";

export interface RelativeOptions<Name extends string> extends MeasureOptions {
  model: Model;
  /** Δ, from the *update* loss. */
  direction: Direction;
  /** The batches that judge the line, by name; each is compared with its own L(θ). */
  evaluate: Record<Name, Batch>;
  /** ∇L_eval·Δ by name, where known: the *eval* batch's own gradient, not the update's. */
  slopes?: Partial<Record<NoInfer<Name>, number>>;
  /** Gradients of the eval batches by name, where at hand. */
  gradients?: Partial<Record<NoInfer<Name>, Gradient | Direction>>;
  /**
   * Whether the slope of a batch that has neither is computed, by one backward pass (default). Without it the search finds
   * out by forward passes alone whether Δ descends: a few more where it does, up to 40 where it does not.
   */
  findSlopes?: boolean;
  signal?: AbortSignal;
  onEvaluation?: (evaluation: Evaluation, name: Name) => void;
}

const relativeNames = [
  "model",
  "direction",
  "evaluate",
  "slopes",
  "gradients",
  "findSlopes",
  "signal",
  "onEvaluation",
  ...measureOptionNames,
];

/**
 * Relative critical sharpness 2/ηc(update→eval): how far a step along one loss's Δ may go before another loss rises
 * (Kalra et al. 2026). One result for each batch, one batch after the other, each with its own L(θ), slope and status: a
 * Δ that does not descend on a batch (`non-descent`, 2/ηc = ∞) is a result.
 *
 * @param noise what was learnt of the model's rounding; calls about one model may share it
 * @throws as `criticalSharpness`.
 */
export async function relativeCriticalSharpness<Name extends string>(
  options: RelativeOptions<Name>,
  noise = new NoiseMemory(),
): Promise<Record<Name, MeasuredSharpness>> {
  const given = checkNames(options, "options", relativeNames);
  const model = checkModel(given.model);
  const direction = checkDirection(given.direction, "direction");
  if (given.evaluate === undefined) throw expected("an object of batches", "options.evaluate", undefined);
  const batches = Object.entries(checkOptions(given.evaluate, "options.evaluate")).map(
    ([name, batch]) => [name as Name, checkBatch(batch, `options.evaluate.${name}`)] as const,
  );
  const slopes = checkByName(given.slopes, "options.slopes", batches);
  const gradients = checkByName(given.gradients, "options.gradients", batches);
  const findSlopes = checkBoolean(or(given.findSlopes, true), "options.findSlopes");
  const signal = checkSignal(given.signal, "options.signal");
  const report = checkCallback(
    given.onEvaluation,
    "options.onEvaluation",
  ) as RelativeOptions<Name>["onEvaluation"];
  const search = checkMeasureOptions(given);
  const { microBatch } = search;
  const results = {} as Record<Name, MeasuredSharpness>;
  for (const [name, batch] of batches) {
    const known = { slope: slopes[name], gradient: gradients[name] };
    const find = findSlopes && known.slope === undefined && known.gradient === undefined;
    const own = find ? await model.gradient(batch, { microBatch, signal }) : undefined;
    using _ = own?.gradient;
    const given = own ? { gradient: own } : known;
    const line = { model, batch, direction, signal, ...given, subject: `the line of "${name}"` };
    const onEvaluation = report && ((evaluation: Evaluation) => report(evaluation, name));
    results[name] = await measureLine(
      line,
      search,
      (lossAt, facts) =>
        findCriticalLearningRate(lossAt, { ...searchOptions(search), ...facts, signal, onEvaluation }),
      noise,
    );
  }
  return results;
}

function checkByName(
  value: unknown,
  subject: string,
  batches: readonly (readonly [string, Batch])[],
): Record<string, unknown> {
  const given = checkOptions(value, subject);
  for (const name of Object.keys(given))
    if (!batches.some(([known]) => known === name))
      throw expected("only names of options.evaluate", subject, name, "range");
  return given;
}

export interface MatrixOptions<Name extends string> extends MeasureOptions {
  model: Model;
  /** A batch of each task, by name. */
  tasks: Record<Name, Batch>;
  /** Δ of tasks whose own gradient it is not: an optimizer's, say. */
  directions?: Partial<Record<NoInfer<Name>, Direction>>;
  signal?: AbortSignal;
  /** Called after each pair of tasks. */
  onResult?: (result: MeasuredSharpness, update: Name, evaluate: Name) => void;
}

/** What is measured along the Δ of one task (the outer name) on the batch of another (the inner one). */
export type SharpnessMatrix<Name extends string> = Record<Name, Record<Name, MeasuredSharpness>>;

const matrixNames = ["model", "tasks", "directions", "signal", "onResult", ...measureOptionNames];

/**
 * Relative critical sharpness of every task along every other's Δ, and along its own: n tasks take n backward passes, and
 * hold n gradients, for n² lines.
 *
 * @throws as `relativeCriticalSharpness`.
 */
export async function sharpnessMatrix<Name extends string>(
  options: MatrixOptions<Name>,
): Promise<SharpnessMatrix<Name>> {
  const given = checkNames(options, "options", matrixNames);
  const model = checkModel(given.model);
  if (given.tasks === undefined) throw expected("an object of batches", "options.tasks", undefined);
  const tasks = Object.entries(checkOptions(given.tasks, "options.tasks")).map(
    ([name, batch]) => [name as Name, checkBatch(batch, `options.tasks.${name}`)] as const,
  );
  const directions = checkDirections(given.directions, Object.fromEntries(tasks));
  const signal = checkSignal(given.signal, "options.signal");
  const report = checkCallback(given.onResult, "options.onResult") as MatrixOptions<Name>["onResult"];
  const search = checkMeasureOptions(given);
  const evaluate = Object.fromEntries(tasks) as Record<Name, Batch>;
  const gradients: Partial<Record<Name, Gradient>> = {};
  try {
    for (const [name, batch] of tasks)
      gradients[name] = await model.gradient(batch, { microBatch: search.microBatch, signal });
    const matrix = {} as SharpnessMatrix<Name>;
    const noise = new NoiseMemory();
    for (const [update] of tasks) {
      throwIfAborted(signal);
      const direction = directions[update] ?? (gradients[update] as Gradient).gradient;
      const row = await relativeCriticalSharpness<Name>(
        { ...search, model, direction, evaluate, gradients, signal },
        noise,
      );
      matrix[update] = row;
      for (const [name] of tasks) report?.(row[name], update, name);
    }
    return matrix;
  } finally {
    for (const gradient of Object.values<Gradient | undefined>(gradients)) gradient?.gradient.dispose();
  }
}

function checkDirections(value: unknown, tasks: Record<string, Batch>): Record<string, Direction> {
  const given = checkOptions(value, "options.directions");
  for (const [name, direction] of Object.entries(given)) {
    if (!Object.hasOwn(tasks, name))
      throw expected("only names of options.tasks", "options.directions", name, "range");
    checkDirection(direction, `options.directions.${name}`);
  }
  return given as Record<string, Direction>;
}
