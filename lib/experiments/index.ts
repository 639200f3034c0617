export { alongTextKeys, openBatches, openDirection, openText } from "./along/along-inputs.js";
export type { AlongRecord, AlongWay } from "./along/along-report.js";
export { type MeasuredWay, writeAlong } from "./along/write-along.js";
export type { CheckAnswer } from "./check/answer.js";
export {
  type CheckEvent,
  type CheckOptions,
  type CheckResult,
  checkLearningRate,
} from "./check/check.js";
export {
  type CheckConfiguration,
  type CheckConfigurationInput,
  checkSchema,
} from "./check/check-configuration.js";
export type { CheckRecord } from "./check/check-records.js";
export type { CheckJudgement, CheckVerdict, CriticalRange, TrialOutcome } from "./check/judgement.js";
export { findCheckpoints, type ListedCheckpoint } from "./checkpoints/checkpoint-list.js";
export { type Edge, edgeOf, edgeSentence } from "./checkpoints/edge.js";
export type { BatchSource, FrozenOptions } from "./checkpoints/frozen-options.js";
export { type FrozenResult, frozenSharpness } from "./checkpoints/frozen-sharpness.js";
export type { FrozenEvent, FrozenMeasurement } from "./checkpoints/frozen-summary.js";
export {
  measureCheckpoints,
  type SeriesEvent,
  type SeriesOptions,
  type SeriesResult,
  seriesOptions,
} from "./checkpoints/series.js";
export {
  type SeriesConfiguration,
  type SeriesConfigurationInput,
  seriesSchema,
} from "./checkpoints/series-configuration.js";
export type {
  BatchRecord,
  CheckpointRecord,
  FailureRecord,
  SeriesRecord,
} from "./checkpoints/series-records.js";
export { type MixEvent, type MixOptions, type MixResult, measureMix } from "./mix/mix.js";
export {
  type MixConfiguration,
  type MixConfigurationInput,
  mixSchema,
  parseMix,
  readMix,
} from "./mix/mix-configuration.js";
export type { MixPoint } from "./mix/mix-estimate.js";
export type {
  MixCellRecord,
  MixLineRecord,
  MixPairRecord,
  MixRecord,
  MixRepeatRecord,
} from "./mix/mix-records.js";
export type { MixCrossing, MixRecommendation } from "./mix/recommendation.js";
export { type MixSummary, type MixVerdict, summarizeMix } from "./mix/summary.js";
export {
  type MixCost,
  type MixMeasurement,
  type MixSweepEvent,
  type MixSweepResult,
  sweepMix,
} from "./mix/sweep.js";
export type { MixSweepOptions } from "./mix/sweep-options.js";
export type { ModelSource } from "./model-source.js";
export {
  measureProbes,
  type ProbesEvent,
  type ProbesOptions,
  type ProbesResult,
  probesOptions,
} from "./probes/probes.js";
export {
  type ProbesConfiguration,
  type ProbesConfigurationInput,
  probesSchema,
} from "./probes/probes-configuration.js";
export {
  aboveThreshold,
  type ProbeFailureRecord,
  type ProbeRecord,
  type ProbesRecord,
  sharpnessOf,
} from "./probes/probes-records.js";
export { compareRuns, reportContent, writeReport } from "./reports.js";
export { type TrainOptions, type TrainResult, train } from "./train/train.js";
export {
  parseConfiguration,
  readConfiguration,
  type TrainConfiguration,
  type TrainConfigurationInput,
  trainSchema,
} from "./train/train-configuration.js";
export type {
  CurvatureRecord,
  LandscapeRecord,
  MetricsRecord,
  StepRecord,
  ValidationRecord,
} from "./train/train-records.js";
export type { TrainEvent } from "./train/train-session.js";
export { type Watch, type WatchOptions, watchOptions, watchRuns } from "./watch.js";
