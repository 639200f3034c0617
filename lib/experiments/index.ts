export { findCheckpoints, type ListedCheckpoint } from "./checkpoint-list.js";
export {
  parseConfiguration,
  readConfiguration,
  type TrainConfiguration,
  type TrainConfigurationInput,
} from "./configuration.js";
export type { ConfigurationPlace } from "./configuration-file.js";
export type { Estimate, SharpnessEstimate } from "./estimate.js";
export type { BatchSource, FrozenOptions } from "./frozen-options.js";
export {
  type FrozenEvent,
  type FrozenMeasurement,
  type FrozenResult,
  frozenSharpness,
} from "./frozen-sharpness.js";
export { type LandscapeOptions, lossAlong } from "./landscape.js";
export type { OptimizerChoice } from "./make-optimizer.js";
export { type MixEvent, type MixOptions, type MixResult, measureMix } from "./mix.js";
export {
  type MixConfiguration,
  type MixConfigurationInput,
  parseMix,
  readMix,
} from "./mix-configuration.js";
export type {
  MixCellRecord,
  MixLineRecord,
  MixPairRecord,
  MixRecord,
  MixRepeatRecord,
} from "./mix-records.js";
export {
  type MixCrossing,
  type MixPoint,
  type MixRecommendation,
  type MixSummary,
  summarizeMix,
} from "./mix-summary.js";
export {
  type MixCost,
  type MixMeasurement,
  type MixSweepEvent,
  type MixSweepResult,
  sweepMix,
} from "./mix-sweep.js";
export type { MixSweepOptions } from "./mix-sweep-options.js";
export type { MixVerdict } from "./mix-verdict.js";
export { isExampleData } from "./open-data.js";
export type {
  CurvatureRecord,
  EigenvalueRecord,
  LandscapeRecord,
  MeasurementRecord,
  MetricsRecord,
  StepRecord,
  ValidationRecord,
} from "./records.js";
export {
  measureCheckpoints,
  type SeriesEvent,
  type SeriesOptions,
  type SeriesResult,
} from "./series.js";
export type { SeriesConfiguration, SeriesConfigurationInput } from "./series-configuration.js";
export type {
  BatchRecord,
  CheckpointRecord,
  FailureRecord,
  SeriesRecord,
  SharpnessEstimateRecord,
} from "./series-records.js";
export { lossSlice, type Slice, type SliceOptions } from "./slice.js";
export { type TrainEvent, type TrainOptions, type TrainResult, train } from "./train.js";
export { packageVersion } from "./versions.js";
