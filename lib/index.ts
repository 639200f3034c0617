export * from "./data/index.js";
export { AbortError, CriticalSharpnessError } from "./errors.js";
export * from "./experiments/index.js";
export * from "./measures/index.js";
export * from "./models/index.js";
export type { ComputeDtype, CurvatureOperator, Initialization, ParameterDtype } from "./native/surface.js";
export { setThreads } from "./native/threads.js";
export * from "./optimizers/index.js";
export {
  CriticalPredictor,
  type Evaluation,
  findCriticalLearningRate,
  type LineFacts,
  type LossAt,
  type Prediction,
  type PredictorState,
  type SearchMethod,
  type SearchOptions,
  type SearchResult,
  type SearchStatus,
  type UnresolvedReason,
} from "./search/index.js";
