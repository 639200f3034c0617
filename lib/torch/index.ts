export { type Diagnosis, diagnose } from "./diagnose.js";
export { Owner, ownSignal, type SignalOptions, signalOf, stoppable, withSignal } from "./handles.js";
export { isRunning } from "./host.js";
export { native, packageVersion, setThreads, versions } from "./load.js";
export type { Activation, NativeDecoderDescription, NativeModelDescription } from "./model-description.js";
export type {
  NativeProgramArgument,
  NativeProgramDescription,
  NativeProgramDtype,
  NativeProgramGraph,
  NativeProgramInput,
  NativeProgramNode,
  NativeReduction,
  NativeStoredTensor,
  ReadProgram,
} from "./program-description.js";
export type { FilePiece, FileTensor, StorageDtype } from "./surface/file-tensor.js";
export type { NativeGroup } from "./surface/group.js";
export type { CurvatureOperator, NativeCurvature, NativeKrylov, NativeKrylovStep } from "./surface/krylov.js";
export type {
  ComputeDtype,
  Initialization,
  NativeBatch,
  NativeModel,
  NativePerturbation,
  ParameterDtype,
} from "./surface/model.js";
export type { NativeOptimizer, NativeOptimizerGroup, NativeRule } from "./surface/optimizer.js";
export type { NativePart, NativeVector } from "./surface/vector.js";
export type { NativeCuda } from "./surface.js";
