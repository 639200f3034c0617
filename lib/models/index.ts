export { Batch, type ExampleData, type TokenData } from "./batch.js";
export { loadBatch, loadBatches } from "./batch-files.js";
export { checkBatch, checkDirection, checkModel } from "./checks.js";
export type {
  DecoderConfig,
  Device,
  Gpt2Config,
  MlpConfig,
  ModelConfig,
  ModelConfigInput,
} from "./configuration.js";
export { configureModel, deviceNames, isDevice } from "./configuration.js";
export { type CreateOptions, createModel, type ModelOptions } from "./create.js";
export { Curvature, type CurvatureProductResult, KrylovBasis, type ProductOptions } from "./curvature.js";
export { Direction } from "./direction.js";
export { loadModel } from "./load.js";
export {
  checkGradientPass,
  type Gradient,
  type GradientOptions,
  Model,
  type PassOptions,
  type Perturbation,
} from "./model.js";
export type { Parameter, ParameterSelection } from "./parameters.js";
export { ParameterSet, parameterParts, select } from "./parameters.js";
