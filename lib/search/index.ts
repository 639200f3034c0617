export { findCriticalLearningRate } from "./find.js";
export { significance } from "./options.js";
export { CriticalPredictor, type LineFacts, type Prediction, type PredictorState } from "./predictor.js";
export type {
  Evaluation,
  LossAt,
  SearchMethod,
  SearchOptions,
  SearchResult,
  SearchStatus,
  UnresolvedReason,
} from "./types.js";
