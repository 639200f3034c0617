export { adapterOption } from "./adapters/adapter-model.js";
export { Batch, type ExampleData } from "./batch.js";
export { loadBatch, loadBatches } from "./batch-files.js";
export {
  batchSchema,
  checkBatch,
  checkDirection,
  directionSchema,
  gradientSchema,
  modelSchema,
} from "./checks.js";
export {
  configureModel,
  type DecoderConfig,
  type Device,
  deviceNames,
  type Gpt2Config,
  isDevice,
  type MlpConfig,
  type ModelConfig,
  type ModelConfigInput,
  type ProgramConfig,
} from "./configuration.js";
export type { Contents, ListedTensor, ListOptions, PlainValue } from "./contents/contents.js";
export { inspect } from "./contents/inspect.js";
export { createModel, loadModel } from "./create.js";
export { Curvature, type CurvatureProductResult, KrylovBasis, type ProductOptions } from "./curvature.js";
export { Direction } from "./direction.js";
export type { Factors } from "./direction-numbers.js";
export { inOneBlock } from "./found-tensors.js";
export { type ExpertChanges, type Gradient, Model } from "./model.js";
export { type CreateOptions, type ModelOptions, modelOptions, trainableSchema } from "./model-options.js";
export { type NamedTensor, storedNamedTensor } from "./named-tensors.js";
export type { Numbers } from "./numbers.js";
export {
  type Parameter,
  type ParameterSelection,
  ParameterSet,
  parameterKind,
  parameterParts,
  select,
} from "./parameters.js";
export {
  type GradientOptions,
  type PassOptions,
  type Perturbation,
  readGradientPass,
} from "./pass-options.js";
export { programOptions } from "./programs/load.js";
export { parametersCalled, registeredParameters } from "./registration.js";
export type { PreferenceData, TokenData } from "./token-data.js";
export { findTensors } from "./weight-files.js";
