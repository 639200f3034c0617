export { type AlongEvent, type AlongOptions, type AlongResult, along } from "./along.js";
export type { AlongPoint, AlongSteps, AlongText, StepEstimate } from "./along-steps.js";
export { criticalSharpness, type LineToMeasure, type MeterState, SharpnessMeter } from "./critical.js";
export { openLine } from "./line.js";
export {
  type LandscapeOptions,
  landscapeKeys,
  lossAlong,
  lossSlice,
  type Slice,
  type SliceOptions,
} from "./loss-surface.js";
export type { MeasuredSharpness } from "./measure-line.js";
export {
  type Measure,
  type MeasureOptions,
  measureKeys,
  measureOf,
  measureOptions,
  measureSchema,
} from "./measure-options.js";
export { lossPrecision, type MeasuredNoise, type NoiseCircumstances, NoiseMemory } from "./noise.js";
export {
  type Estimate,
  estimate,
  estimateSchema,
  estimateSharpness,
  finite,
  type MeasurementRecord,
  measurementRecord,
  measurementSchema,
  real,
  recordedSharpness,
  type SharpnessEstimate,
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
