export { type AllowedOptions, type AllowedStep, allowKey, findAllowedLearningRate } from "./allowed.js";
export { findCriticalLearningRate } from "./find.js";
export { CriticalPredictor, type LineFacts, type Prediction, type PredictorState } from "./predictor.js";
export {
  type EstimatedCrossing,
  type Evaluation,
  type LossAt,
  type SearchMethod,
  type SearchOptions,
  type SearchResult,
  type SearchStatus,
  searchKeys,
  significance,
  type UnresolvedReason,
} from "./search-options.js";
