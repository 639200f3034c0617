export {
  type ConfigurationPlace,
  parseConfiguration,
  readConfiguration,
  type TrainConfiguration,
  type TrainConfigurationInput,
} from "./configuration.js";
export { type LandscapeOptions, lossAlong } from "./landscape.js";
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
export { lossSlice, type Slice, type SliceOptions } from "./slice.js";
export { type TrainEvent, type TrainOptions, type TrainResult, train } from "./train.js";
export { packageVersion } from "./versions.js";
