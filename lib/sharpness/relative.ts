import * as z from "zod";
import { expected, throwIfAborted } from "../errors.js";
import {
  type Batch,
  batchSchema,
  type Direction,
  directionSchema,
  type Gradient,
  gradientSchema,
  modelSchema,
} from "../models/index.js";
import { callback, type OptionsOf, readOptions, signalSchema } from "../options/index.js";
import { type Evaluation, findCriticalLearningRate } from "../search/index.js";
import { ownSignal } from "../torch/index.js";
import { type MeasuredSharpness, measureLine } from "./measure-line.js";
import { type MeasureOptions, measureOf, measureOptions, searchOptions } from "./measure-options.js";
import { NoiseMemory } from "./noise.js";

/** One of each, by its name. */
const byName = <Value extends z.ZodType>(value: Value) => z.record(z.string(), value);

const relativeShape = {
  model: modelSchema,
  /** Δ, from the *update* loss. */
  direction: directionSchema,
  /**
   * Whether the slope of a batch that has neither is computed, by one backward pass (default). Without it the search finds
   * out by forward passes alone whether Δ descends: a few more where it does, up to 40 where it does not.
   */
  findSlopes: z.boolean().default(true),
  signal: signalSchema.optional(),
};

const relativeSchema = z.strictObject({
  ...measureOptions,
  ...relativeShape,
  evaluate: byName(batchSchema),
  slopes: byName(z.number().optional()).default({}),
  gradients: byName(gradientSchema.optional()).default({}),
  onEvaluation: callback<(evaluation: Evaluation, name: string) => void>().optional(),
});

export interface RelativeOptions<Name extends string>
  extends MeasureOptions,
    OptionsOf<typeof relativeShape> {
  /** The batches that judge the line, by name; each is compared with its own L(θ). */
  evaluate: Record<Name, Batch>;
  /** ∇L_eval·Δ by name, where known: the *eval* batch's own gradient, not the update's. */
  slopes?: Partial<Record<NoInfer<Name>, number>>;
  /** Gradients of the eval batches by name, where at hand. */
  gradients?: Partial<Record<NoInfer<Name>, Gradient | Direction>>;
  /** Called after each evaluation at η > 0, with the name of its batch. */
  onEvaluation?: (evaluation: Evaluation, name: Name) => void;
}

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
  const given = readOptions(relativeSchema, options);
  const { model, direction, slopes, gradients, findSlopes, signal, onEvaluation: report } = given;
  const batches = Object.entries(given.evaluate) as [Name, Batch][];
  checkNamesOf(slopes, "options.slopes", given.evaluate, "options.evaluate");
  checkNamesOf(gradients, "options.gradients", given.evaluate, "options.evaluate");
  const search = measureOf(given);
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
        findCriticalLearningRate(lossAt, {
          ...{ ...searchOptions(search), ...facts, onEvaluation },
          signal: ownSignal(signal, model),
        }),
      noise,
    );
  }
  return results;
}

/** @throws RangeError for a name that is none of those that there are. */
function checkNamesOf(given: object, subject: string, all: object, place: string): void {
  for (const name of Object.keys(given))
    if (!Object.hasOwn(all, name)) throw expected(`only names of ${place}`, subject, name, "range");
}

const matrixShape = { model: modelSchema, signal: signalSchema.optional() };

const matrixSchema = z.strictObject({
  ...measureOptions,
  ...matrixShape,
  tasks: byName(batchSchema),
  directions: byName(directionSchema.optional()).default({}),
  onResult: callback<(result: MeasuredSharpness, update: string, evaluate: string) => void>().optional(),
});

export interface MatrixOptions<Name extends string> extends MeasureOptions, OptionsOf<typeof matrixShape> {
  /** A batch of each task, by name. */
  tasks: Record<Name, Batch>;
  /** Δ of tasks whose own gradient it is not: an optimizer's, say. */
  directions?: Partial<Record<NoInfer<Name>, Direction>>;
  /** Called after each pair of tasks. */
  onResult?: (result: MeasuredSharpness, update: Name, evaluate: Name) => void;
}

/** What is measured along the Δ of one task (the outer name) on the batch of another (the inner one). */
export type SharpnessMatrix<Name extends string> = Record<Name, Record<Name, MeasuredSharpness>>;

/**
 * Relative critical sharpness of every task along every other's Δ, and along its own: n tasks take n backward passes, and
 * hold n gradients, for n² lines.
 *
 * @throws as `relativeCriticalSharpness`.
 */
export async function sharpnessMatrix<Name extends string>(
  options: MatrixOptions<Name>,
): Promise<SharpnessMatrix<Name>> {
  const given = readOptions(matrixSchema, options);
  const { model, directions, signal, onResult: report } = given;
  const evaluate = given.tasks as Record<Name, Batch>;
  const tasks = Object.entries(evaluate) as [Name, Batch][];
  checkNamesOf(directions, "options.directions", evaluate, "options.tasks");
  const search = measureOf(given);
  const gradients: Partial<Record<Name, Gradient>> = {};
  try {
    for (const [name, batch] of tasks)
      gradients[name] = await model.gradient(batch, { microBatch: search.microBatch, signal });
    const matrix = {} as SharpnessMatrix<Name>;
    const noise = new NoiseMemory();
    for (const [update] of tasks) {
      throwIfAborted(ownSignal(signal, model));
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
