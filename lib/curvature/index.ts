export { type DensityOptions, type SpectralDensity, spectralDensity } from "./density.js";
export { type DirectionalOptions, type DirectionalResult, directionalSharpness } from "./directional.js";
export {
  type EigenvectorWeights,
  type EigenvectorWeightsOptions,
  eigenvectorWeights,
} from "./eigenvector-weights.js";
export {
  type Ends,
  type HessianOptions,
  type HessianProgress,
  type HessianResult,
  hessianEigenvalues,
} from "./hessian.js";
export type { CurvatureOptions } from "./options.js";
export { hessianKeys } from "./options.js";
export type { EigenvalueRecord } from "./record.js";
export { eigenvalueRecord, eigenvalueSchema } from "./record.js";
export { stabilityThreshold, type ThresholdOptions } from "./threshold.js";
export { hessianTrace, type TraceOptions, type TraceResult } from "./trace.js";
