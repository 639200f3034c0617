export { Batch, type ExampleData, type TokenData } from "./batch.js";
export { loadBatch, loadBatches } from "./batch-files.js";
export type { DecoderConfig, Gpt2Config, MlpConfig, ModelConfig, ModelConfigInput } from "./configuration.js";
export { type CreateOptions, createModel, type ModelOptions } from "./create.js";
export { Curvature, type CurvatureProductResult, type ProductOptions } from "./curvature.js";
export { Direction } from "./direction.js";
export { loadModel } from "./load.js";
export { type Gradient, type GradientOptions, Model, type PassOptions, type Perturbation } from "./model.js";
export type { Parameter, ParameterSelection } from "./parameters.js";
