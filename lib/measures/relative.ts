import { checkBoolean, checkOptions, checkSignal } from "../checks.js";
import { expected } from "../errors.js";
import type { Batch, Direction, Gradient, Model } from "../models/index.js";
import { type Evaluation, findCriticalLearningRate } from "../search/index.js";
import { type MeasuredSharpness, measureLine } from "./measure-line.js";
import { NoiseMemory } from "./noise.js";
import {
  checkBatch,
  checkCallback,
  checkDirection,
  checkMeasureOptions,
  checkModel,
  checkNames,
  type MeasureOptions,
  measureOptionNames,
  or,
  searchOptions,
} from "./options.js";

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

const names = [
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
  const given = checkNames(options, "options", names);
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
  const report = checkCallback(given.onEvaluation) as RelativeOptions<Name>["onEvaluation"];
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
