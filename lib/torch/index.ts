export { type Diagnosis, diagnose } from "./diagnose.js";
export { Owner, ownSignal, type SignalOptions, signalOf, stoppable, withSignal } from "./handles.js";
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
export type {
  ComputeDtype,
  CurvatureOperator,
  FilePiece,
  FileTensor,
  Initialization,
  NativeBatch,
  NativeCuda,
  NativeCurvature,
  NativeGroup,
  NativeKrylov,
  NativeKrylovStep,
  NativeModel,
  NativeOptimizer,
  NativeOptimizerGroup,
  NativePart,
  NativePerturbation,
  NativeRule,
  NativeVector,
  ParameterDtype,
  StorageDtype,
} from "./surface.js";
