export { badRun, runFiles } from "./directory.js";
export type {
  Kind,
  KindHeader,
  RecordOf,
  RecordSchemas,
  RunFacts,
  StoredConfiguration,
  StoredRun,
} from "./kind.js";
export { type TakenBatch, type TakeOptions, takeBatch, takeGradient } from "./protocol.js";
export {
  type CheckedRunOptions,
  findKind,
  type RankOptions,
  Run,
  type RunOptions,
  rankOptions,
  readRun,
  runOptions,
} from "./run.js";
export { jsonLines, type Sink } from "./sinks/sink.js";
export { tensorBoard } from "./sinks/tensorboard.js";
export { SavingPace, StateFolder } from "./state.js";
