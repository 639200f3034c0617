export { findCriticalLearningRate } from "./find.js";
export type {
  Evaluation,
  LossAt,
  SearchMethod,
  SearchOptions,
  SearchResult,
  SearchStatus,
  UnresolvedReason,
} from "./options.js";
export { significance } from "./options.js";
export { CriticalPredictor, type LineFacts, type Prediction, type PredictorState } from "./predictor.js";
