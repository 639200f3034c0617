import { checkOptions, checkSignal } from "../checks.js";
import { expected, throwIfAborted } from "../errors.js";
import type { Batch, Direction, Gradient, Model } from "../models/index.js";
import type { MeasuredSharpness } from "./measure-line.js";
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
} from "./options.js";
import { relativeCriticalSharpness } from "./relative.js";

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

const names = ["model", "tasks", "directions", "signal", "onResult", ...measureOptionNames];

/**
 * Relative critical sharpness of every task along every other's Δ, and along its own: n tasks take n backward passes, and
 * hold n gradients, for n² lines.
 *
 * @throws as `relativeCriticalSharpness`.
 */
export async function sharpnessMatrix<Name extends string>(
  options: MatrixOptions<Name>,
): Promise<SharpnessMatrix<Name>> {
  const given = checkNames(options, "options", names);
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
