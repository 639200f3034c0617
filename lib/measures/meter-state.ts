import { CriticalSharpnessError } from "../errors.js";
import { CriticalPredictor, type PredictorState } from "../search/index.js";

/** What a `SharpnessMeter` has learnt. Plain JSON data. */
export interface MeterState {
  version: 1;
  /** The last ηc found. */
  lastCriticalLearningRate: number | null;
  predictor: PredictorState;
}

/** @throws CriticalSharpnessError `ERR_METER_STATE` if it is not the state of a meter. */
export function checkMeterState(value: unknown): MeterState {
  const { version, lastCriticalLearningRate: last, predictor } = (value ?? {}) as Record<string, unknown>;
  const lastFits = last === null || (typeof last === "number" && Number.isFinite(last) && last > 0);
  if (version !== 1 || !lastFits || !CriticalPredictor.accepts(predictor))
    throw new CriticalSharpnessError(
      "ERR_METER_STATE",
      `Expected what a SharpnessMeter of this version gives for its state but received ${version === 1 ? "a damaged one" : `version ${String(version)}`}`,
    );
  return value as MeterState;
}
