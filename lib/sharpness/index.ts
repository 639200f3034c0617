export { criticalSharpness, type LineToMeasure } from "./critical.js";
export type { Estimate, SharpnessEstimate } from "./estimate.js";
export { estimate, estimateSharpness } from "./estimate.js";
export { type LandscapeOptions, lossAlong, lossSlice, type Slice, type SliceOptions } from "./landscape.js";
export { openLine } from "./line.js";
export type { MeasuredSharpness } from "./measure-line.js";
export { type MeterState, SharpnessMeter } from "./meter.js";
export { lossPrecision, type MeasuredNoise, type NoiseCircumstances, NoiseMemory } from "./noise.js";
export type { MeasureOptions } from "./options.js";
export { checkMeasureOptions, measureOptionNames, searchKeys } from "./options.js";
export type { MeasurementRecord } from "./record.js";
export {
  estimateSchema,
  finite,
  measurementRecord,
  measurementSchema,
  real,
  recordedSharpness,
  type SharpnessEstimateRecord,
  sharpnessEstimateRecord,
  sharpnessEstimateSchema,
} from "./record.js";
export {
  type MatrixOptions,
  type RelativeOptions,
  relativeCriticalSharpness,
  type SharpnessMatrix,
  sharpnessMatrix,
} from "./relative.js";
