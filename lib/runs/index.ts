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
export { type TakenBatch, type TakeOptions, takeBatch } from "./protocol.js";
export { type CheckedRunOptions, checkRunOptions, Run, type RunOptions } from "./run.js";
export { jsonLines } from "./sinks/json-lines.js";
export type { Sink } from "./sinks/sink.js";
export { tensorBoard } from "./sinks/tensorboard.js";
export { StateFolder } from "./state.js";
export { findKind, readRun } from "./stored-run.js";
