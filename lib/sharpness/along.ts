import * as z from "zod";
import { CriticalSharpnessError, expected } from "../errors.js";
import {
  type Batch,
  batchSchema,
  type Direction,
  directionSchema,
  type Model,
  modelSchema,
  type ParameterSelection,
} from "../models/index.js";
import { callback, type OptionsOf, readOptions, signalSchema } from "../options/index.js";
import { type AlongSteps, type AlongText, type Curve, meanCurve, stepsOf } from "./along-steps.js";
import type { MeasuredSharpness } from "./measure-line.js";
import { type MeasureOptions, measureOf, measureOptions } from "./measure-options.js";
import { NoiseMemory } from "./noise.js";
import { estimate } from "./record.js";
import { relativeCriticalSharpness } from "./relative.js";

const alongShape = {
  ...measureOptions,
  /** The budget: the part of its own L(θ) that each text's loss may rise by. Default 0.01. */
  allow: measureOptions.allow.unwrap().default(0.01),
  /** ε of ηc and of the budget's end. Default 1/64: the two may be near each other. */
  tolerance: measureOptions.tolerance.unwrap().default(1 / 64),
  model: modelSchema,
  /** θ_model − θ_other, so that η = 1 is the other model: `Direction.fromAdapter`, `Direction.between`. */
  direction: directionSchema,
  /** η up to which each text's loss is computed. Default 1.5. */
  extent: z.number().gt(0).default(1.5),
  /** Places of η > 0 at which it is, evenly spaced, and η = 1 besides. Default 30. */
  points: z.int().min(2).max(10_000).default(30),
  /** Parts of the model, by name: the same along Δ restricted to each, without the curve. */
  parts: z.record(z.string(), z.custom<ParameterSelection>()).default({}),
  /**
   * Whether the slope of each line comes of a backward pass, which holds a gradient of all weights. Default false: forward passes alone
   * find where a loss rises, in a few more.
   */
  findSlopes: z.boolean().default(false),
  signal: signalSchema.optional(),
};

const alongSchema = z.strictObject({
  ...alongShape,
  texts: z.record(z.string(), z.array(batchSchema).min(1).readonly()),
  onProgress: callback<(event: AlongEvent) => void>().optional(),
});

/** What was done on one batch of a text: of a part of Δ, its name. */
export interface AlongEvent {
  text: string;
  batch: number;
  part: string | null;
}

export interface AlongOptions<Name extends string> extends MeasureOptions, OptionsOf<typeof alongShape> {
  /** Batches of each text, by its name. */
  texts: Record<Name, readonly Batch[]>;
  /** Called after each line. */
  onProgress?: (event: AlongEvent) => void;
}

export interface AlongResult<Name extends string = string> {
  allow: number;
  extent: number;
  /** ‖Δ‖ */
  norm: number;
  texts: Record<Name, AlongText>;
  /** Of those in which the models differ. */
  parts: Record<string, { norm: number; texts: Record<Name, AlongSteps> }>;
  /** Parts in which they do not. */
  unchanged: string[];
}

/**
 * How the losses of texts change on the way from one model to another, θ − ηΔ with η = 1 for the other: the loss over η, the critical
 * learning rate ηc, at which it rises above where it began, and the largest step within a loss budget. Each batch is measured by itself,
 * as `relativeCriticalSharpness` has it; several give mean and standard error. Weights keep every bit, nothing is merged, and Δ of an
 * adapter is never multiplied out.
 *
 * @throws CriticalSharpnessError `ERR_NO_CHANGE` where Δ is 0; those of `relativeCriticalSharpness` and `findAllowedLearningRate`.
 * @throws AbortError; TypeError, RangeError naming the option.
 */
export async function along<Name extends string>(options: AlongOptions<Name>): Promise<AlongResult<Name>> {
  const given = readOptions(alongSchema, options);
  const { direction, allow, extent, parts: selections, signal } = given;
  const texts = Object.entries(given.texts) as [Name, readonly Batch[]][];
  if (texts.length === 0) throw expected("at least one text", "options.texts", "none", "range");
  const norm = await direction.norm({ signal });
  if (norm === 0)
    throw new CriticalSharpnessError(
      "ERR_NO_CHANGE",
      "Expected a direction that leads to another model but received one of length 0: both have the same weights",
    );
  const noise = new NoiseMemory();
  const result: AlongResult<Name> = {
    ...{ allow, extent, norm },
    texts: {} as AlongResult<Name>["texts"],
    parts: {},
    unchanged: [],
  };
  for (const [name, batches] of texts) {
    const curves: Curve[] = [];
    const measurements: MeasuredSharpness[] = [];
    for (const [i, batch] of batches.entries()) {
      const curve = await curveOf(given, batch);
      curves.push(curve);
      measurements.push(
        await lineOf(given, { name, batch, direction, start: startOf(curve, extent) }, noise),
      );
      given.onProgress?.({ text: name, batch: i, part: null });
    }
    result.texts[name] = {
      baseLoss: estimate(curves.map(([first]) => first?.loss as number)),
      points: meanCurve(curves),
      ...stepsOf(measurements),
    };
  }
  for (const [part, selection] of Object.entries(selections)) {
    using masked = direction.mask(selection);
    const length = await masked.norm({ signal });
    if (length === 0) {
      result.unchanged.push(part);
      continue;
    }
    const steps = {} as Record<Name, AlongSteps>;
    for (const [name, batches] of texts) {
      const measurements: MeasuredSharpness[] = [];
      for (const [i, batch] of batches.entries()) {
        const { mean } = result.texts[name].critical;
        measurements.push(
          await lineOf(given, { name, batch, direction: masked, start: mean || extent }, noise),
        );
        given.onProgress?.({ text: name, batch: i, part });
      }
      steps[name] = stepsOf(measurements);
    }
    result.parts[part] = { norm: length, texts: steps };
  }
  return result;
}

type Given = z.output<typeof alongSchema> & { model: Model };

async function curveOf(
  { model, direction, extent, points, microBatch, perturbation: mode, signal }: Given,
  batch: Batch,
) {
  const spaced = Array.from({ length: points + 1 }, (_, i) =>
    Number(((extent * i) / points).toPrecision(12)),
  );
  const places = extent > 1 && !spaced.includes(1) ? [...spaced, 1].sort((a, b) => a - b) : spaced;
  const curve: Curve = [];
  for (const learningRate of places) {
    const perturbation = learningRate === 0 ? undefined : { direction, learningRate, mode };
    curve.push({ learningRate, loss: await model.loss(batch, { perturbation, microBatch, signal }) });
  }
  return curve;
}

/** Where the search for ηc starts: before the first rise that the curve shows. */
function startOf(curve: Curve, extent: number): number {
  const base = curve[0]?.loss as number;
  const first = curve.findIndex(({ loss }, i) => i > 0 && !(loss <= base));
  if (first < 0) return extent;
  const [before, at] = [curve[first - 1], curve[first]].map((p) => p?.learningRate ?? 0) as [number, number];
  return before || at / 2;
}

async function lineOf(
  given: Given,
  line: { name: string; batch: Batch; direction: Direction; start: number },
  noise: NoiseMemory,
): Promise<MeasuredSharpness> {
  const { model, findSlopes, signal } = given;
  const found = await relativeCriticalSharpness(
    {
      ...measureOf(given),
      ...{ model, direction: line.direction, findSlopes, signal },
      initialLearningRate: line.start,
      evaluate: { [line.name]: line.batch },
    },
    noise,
  );
  return found[line.name] as MeasuredSharpness;
}
