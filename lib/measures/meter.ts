import { throwIfAborted } from "../errors.js";
import type { Direction } from "../models/index.js";
import {
  CriticalPredictor,
  findCriticalLearningRate,
  type LossAt,
  type SearchOptions,
  type SearchResult,
} from "../search/index.js";
import { type CheckedLine, checkLine, type LineToMeasure, lineNames } from "./critical.js";
import { openLine } from "./line.js";
import { checkMeterState, type MeterState } from "./meter-state.js";
import { type MeasuredSharpness, withNoise } from "./noise.js";
import { checkMeasureOptions, checkNames, type MeasureOptions, measureOptionNames } from "./options.js";

/**
 * Critical sharpness measured again and again along a training run. Each measurement starts from what the ones before it
 * predict, which takes 2 to 4 forward passes as a rule; with the method `bisection` it starts at the last ηc, as in Kalra
 * et al. 2026. The first measurement, and any whose ηc is more than 4× away from the last one, also looks for an earlier
 * crossing below the one found.
 */
export class SharpnessMeter {
  readonly #options: MeasureOptions;
  readonly #predictor = new CriticalPredictor();
  #last: number | null = null;
  #queue: Promise<unknown> = Promise.resolve();

  /** @throws TypeError, RangeError naming the option. */
  constructor(options: MeasureOptions = {}) {
    this.#options = checkMeasureOptions(checkNames(options, "options", measureOptionNames));
  }

  /**
   * Measures one line. Measurements are made in the order in which they are asked for. One that fails teaches the meter
   * nothing.
   *
   * @throws as `criticalSharpness`.
   */
  async measure(line: LineToMeasure): Promise<MeasuredSharpness> {
    const checked = checkLine(checkNames(line, "line", lineNames));
    const result = this.#queue.then(() => this.#measure(checked));
    this.#queue = result.catch(() => undefined);
    return result;
  }

  /** All that the meter has learnt, as plain JSON data. */
  state(): MeterState {
    return { version: 1, lastCriticalLearningRate: this.#last, predictor: this.#predictor.state() };
  }

  /**
   * Goes on from a state: the measurements that follow are those that the meter of that state would have made, bit for bit.
   *
   * @throws CriticalSharpnessError `ERR_METER_STATE` if it is not a state of a meter.
   */
  restore(state: MeterState): void {
    const checked = checkMeterState(state);
    this.#last = checked.lastCriticalLearningRate;
    this.#predictor.restore(checked.predictor);
  }

  async #measure(line: CheckedLine): Promise<MeasuredSharpness> {
    throwIfAborted(line.signal);
    const { perturbation, microBatch, ...search } = this.#options;
    const { lossAt, start } = await openLine(line.model, line.batch, line.direction, line, {
      perturbation,
      microBatch,
      signal: line.signal,
    });
    const common: SearchOptions = {
      ...search,
      ...start,
      signal: line.signal,
      onEvaluation: line.onEvaluation,
      firstCrossing: this.#last === null ? true : { near: this.#last },
    };
    const predictable = search.method !== "bisection" && start.slope !== undefined && start.slope > 0;
    const result = predictable
      ? await this.#predicted(lossAt, line.direction, common)
      : await findCriticalLearningRate(lossAt, {
          ...common,
          initialLearningRate: this.#last ?? search.initialLearningRate,
        });
    if (result.status === "converged") this.#last = result.criticalLearningRate;
    return withNoise(result, line.model);
  }

  /** A search that starts where the predictor says, and teaches it. */
  async #predicted(lossAt: LossAt, direction: Direction, common: SearchOptions): Promise<SearchResult> {
    const known = common.baseLoss !== undefined;
    const baseLoss = common.baseLoss ?? (await lossAt(0));
    const facts = { slope: common.slope as number, baseLoss, norm: await direction.norm() };
    const prediction = this.#predictor.predict(facts);
    const found = await findCriticalLearningRate(lossAt, {
      ...common,
      baseLoss,
      ...(prediction && {
        initialLearningRate: prediction.learningRate,
        initialError: prediction.error,
        shape: prediction.shape,
      }),
    });
    const result = known ? found : { ...found, forwardPasses: found.forwardPasses + 1 };
    this.#predictor.learn(facts, result);
    return result;
  }
}
