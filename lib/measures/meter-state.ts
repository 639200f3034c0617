import { CriticalSharpnessError } from "../errors.js";
import { CriticalPredictor, type PredictorState } from "../search/index.js";
import { type MeasuredNoise, NoiseMemory } from "./noise.js";

/** What a `SharpnessMeter` has learnt. Plain JSON data. */
export interface MeterState {
  version: 2;
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
    lastCriticalLearningRate: last,
    predictor,
    // Version 1 knew nothing of it.
    noise = version === 1 ? [] : undefined,
  } = (value ?? {}) as Record<string, unknown>;
  const lastFits = last === null || (typeof last === "number" && Number.isFinite(last) && last > 0);
  const isKnown = version === 1 || version === 2;
  if (!isKnown || !lastFits || !CriticalPredictor.accepts(predictor) || !NoiseMemory.accepts(noise))
    throw new CriticalSharpnessError(
      "ERR_METER_STATE",
      `Expected what a SharpnessMeter of this version gives for its state but received ${isKnown ? "a damaged one" : `version ${String(version)}`}`,
    );
  return { version: 2, lastCriticalLearningRate: last, predictor, noise };
}
