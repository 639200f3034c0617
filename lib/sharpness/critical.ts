import * as z from "zod";
import { CriticalSharpnessError, throwIfAborted } from "../errors.js";
import { batchSchema, directionSchema, gradientSchema, modelSchema } from "../models/index.js";
import { callback, type OptionsOf, readOptions, signalSchema } from "../options/index.js";
import {
  CriticalPredictor,
  type Evaluation,
  findCriticalLearningRate,
  type LossAt,
  type PredictorState,
  type SearchOptions,
  type SearchResult,
} from "../search/index.js";
import { ownSignal } from "../torch/index.js";
import { type MeasuredSharpness, measureLine } from "./measure-line.js";
import {
  type Measure,
  type MeasureOptions,
  measureOf,
  measureOptions,
  measureSchema,
  searchOptions,
} from "./measure-options.js";
import { type MeasuredNoise, NoiseMemory } from "./noise.js";

/** One line to measure: a model, the batch that judges, the direction. */
const lineOptions = {
  model: modelSchema,
  /** The batch whose loss is followed along the line. */
  batch: batchSchema,
  /** Δ: the line is θ − η·Δ. */
  direction: directionSchema,
  /** s = ∇L·Δ of the batch. Give it or the gradient; without either the search takes more forward passes. */
  slope: z.number().optional(),
  /** L(θ) of the batch, where it is known beside a slope: one forward pass less. */
  baseLoss: z.number().optional(),
  /** ‖∇L‖ of the batch, beside a slope: it tells whether the slope is above its rounding noise. */
  gradientNorm: z.number().min(0).optional(),
  /** The batch's gradient. The result of `model.gradient(batch)` brings L(θ) along and so saves a forward pass. */
  gradient: gradientSchema.optional(),
  signal: signalSchema.optional(),
  /** Called after each evaluation at η > 0. */
  onEvaluation: callback<(evaluation: Evaluation) => void>().optional(),
};

const lineSchema = z.strictObject(lineOptions);
export type LineToMeasure = OptionsOf<typeof lineOptions>;

/** What a line is called in messages. */
const subject = "the measured line";

const criticalSchema = z.strictObject({ ...lineOptions, ...measureOptions });

/**
 * Critical sharpness λc = 2/ηc of a model along Δ, where ηc is the smallest η > 0 with L(θ − η·Δ) > L(θ) (Kalra et al.
 * 2026). The weights keep every bit. The first crossing is looked for also below the one found. Rises that the rounding of losses
 * may make count for nothing; how large it is is measured near the crossing, in
 * twelve forward passes. A `SharpnessMeter` remembers it.
 *
 * @throws CriticalSharpnessError `ERR_GRADIENT_BATCH`, `ERR_GRADIENT_VERSION` if the gradient is not that of the batch at
 *   today's weights; `ERR_WEIGHTS_CHANGED` if they change meanwhile; `ERR_NON_FINITE_DIRECTION`, `ERR_NON_FINITE_SLOPE`,
 *   `ERR_NON_FINITE_LOSS`.
 * @throws AbortError; TypeError, RangeError naming the option.
 */
export async function criticalSharpness(options: LineToMeasure & MeasureOptions): Promise<MeasuredSharpness> {
  const given = readOptions(criticalSchema, options);
  const measure = measureOf(given);
  const { onEvaluation } = given;
  const signal = ownSignal(given.signal, given.model);
  return measureLine(
    { ...given, subject },
    measure,
    (lossAt, known) =>
      findCriticalLearningRate(lossAt, { ...searchOptions(measure), ...known, signal, onEvaluation }),
    new NoiseMemory(),
  );
}

/** What a `SharpnessMeter` has learnt. Plain JSON data. */
export interface MeterState {
  version: 3;
  /** Crossings found. */
  count: number;
  /** The last ηc found. */
  lastCriticalLearningRate: number | null;
  predictor: PredictorState;
  /** The noise of losses, as far as it was measured. */
  noise: MeasuredNoise[];
}

/** @throws CriticalSharpnessError `ERR_METER_STATE` if it is not the state of a meter. */
export function checkMeterState(value: unknown): MeterState {
  const {
    version,
    // Of versions 1 and 2 it is not known, nor how far estimates err.
    count = isOld(version) ? 0 : undefined,
    lastCriticalLearningRate: last,
    predictor: given,
    // Version 1 knew nothing of it.
    noise = version === 1 ? [] : undefined,
  } = (value ?? {}) as Record<string, unknown>;
  const lastFits = last === null || (typeof last === "number" && Number.isFinite(last) && last > 0);
  const isKnown = isOld(version) || version === 3;
  const predictor = isOld(version) ? CriticalPredictor.upgraded(given) : given;
  const isCount = typeof count === "number" && Number.isSafeInteger(count) && count >= 0;
  if (
    !isKnown ||
    !isCount ||
    !lastFits ||
    !CriticalPredictor.accepts(predictor) ||
    !NoiseMemory.accepts(noise)
  )
    throw new CriticalSharpnessError(
      "ERR_METER_STATE",
      `Expected what a SharpnessMeter of this version gives for its state but received ${isKnown ? "a damaged one" : `version ${String(version)}`}`,
    );
  return { version: 3, count, lastCriticalLearningRate: last, predictor, noise };
}

function isOld(version: unknown): boolean {
  return version === 1 || version === 2;
}

/**
 * Critical sharpness measured again and again along a training run. Each measurement starts from what the ones before it
 * predict, which takes 2 to 4 forward passes as a rule; with the method `bisection` it starts at the last ηc, as in Kalra
 * et al. 2026. With `estimated` it learns how far estimates err, too: one that it expects to be off by more than the tolerance takes a
 * further pass, and one in up to 16 is checked by one. The first measurement, and any whose ηc is more than 4× away from the last one, also looks for an earlier
 * crossing below the one found.
 */
export class SharpnessMeter {
  readonly #options: Measure;
  readonly #predictor = new CriticalPredictor();
  readonly #noise: NoiseMemory;
  #last: number | null = null;
  #count = 0;
  #queue: Promise<unknown> = Promise.resolve();

  /**
   * @param noise where what was learnt of the model's rounding is kept; meters of one model may share it
   * @throws TypeError, RangeError naming the option.
   */
  constructor(options: MeasureOptions = {}, noise = new NoiseMemory()) {
    this.#noise = noise;
    this.#options = readOptions(measureSchema, options);
  }

  /**
   * Measures one line. Measurements are made in the order in which they are asked for. One that fails teaches the meter
   * nothing.
   *
   * @throws as `criticalSharpness`.
   */
  async measure(line: LineToMeasure): Promise<MeasuredSharpness> {
    const checked = readOptions(lineSchema, line, "line");
    const result = this.#queue.then(() => this.#measure(checked));
    this.#queue = result.catch(() => undefined);
    return result;
  }

  /** All that the meter has learnt, as plain JSON data. */
  state(): MeterState {
    return {
      version: 3,
      count: this.#count,
      lastCriticalLearningRate: this.#last,
      predictor: this.#predictor.state(),
      noise: this.#noise.state(),
    };
  }

  /**
   * Goes on from a state: the measurements that follow are those that the meter of that state would have made, bit for bit.
   *
   * @throws CriticalSharpnessError `ERR_METER_STATE` if it is not a state of a meter.
   */
  restore(state: MeterState): void {
    const checked = checkMeterState(state);
    this.#last = checked.lastCriticalLearningRate;
    this.#count = checked.count;
    this.#predictor.restore(checked.predictor);
    this.#noise.restore(checked.noise);
  }

  async #measure(line: LineToMeasure): Promise<MeasuredSharpness> {
    const signal = ownSignal(line.signal, line.model);
    throwIfAborted(signal);
    const { onEvaluation } = line;
    const result = await measureLine(
      { ...line, subject },
      this.#options,
      (lossAt, known, norm) =>
        this.#search(
          lossAt,
          { ...searchOptions(this.#options, this.#count + 1), ...known, signal, onEvaluation },
          norm,
        ),
      this.#noise,
    );
    if (result.status === "converged") {
      this.#last = result.criticalLearningRate;
      this.#count++;
    }
    return result;
  }

  /** A search that starts where past measurements say. */
  async #search(lossAt: LossAt, options: SearchOptions, norm: number): Promise<SearchResult> {
    const { slope, baseLoss, method, initialLearningRate } = options;
    const common = { ...options, firstCrossing: this.#last === null ? true : { near: this.#last } };
    const predictable = method !== "bisection" && slope !== undefined && slope > 0 && baseLoss !== undefined;
    if (!predictable)
      return findCriticalLearningRate(lossAt, {
        ...common,
        initialLearningRate: this.#last ?? initialLearningRate,
      });
    const facts = { slope, baseLoss, norm, lossNoise: options.lossNoise };
    const prediction = options.initialError === undefined ? this.#predictor.predict(facts) : undefined;
    const result = await findCriticalLearningRate(lossAt, {
      ...common,
      ...(prediction && {
        initialLearningRate: prediction.learningRate,
        initialError: prediction.error,
        shape: prediction.shape,
        errorScales: prediction.errorScales,
        check: prediction.check,
      }),
    });
    this.#predictor.learn(facts, result);
    return result;
  }
}
