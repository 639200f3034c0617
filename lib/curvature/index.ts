export {
  type DirectionalOptions,
  type DirectionalResult,
  directionalSharpness,
  type EigenvectorWeights,
  type EigenvectorWeightsOptions,
  eigenvectorWeights,
} from "./directional.js";
export {
  type EigenvalueRecord,
  type Ends,
  eigenvalueRecord,
  eigenvalueSchema,
  type HessianOptions,
  type HessianProgress,
  type HessianResult,
  hessianEigenvalues,
  hessianSchema,
} from "./hessian.js";
export { type CurvatureOptions, hessianKeys } from "./product.js";
export {
  type DensityOptions,
  hessianTrace,
  type SpectralDensity,
  spectralDensity,
  type TraceOptions,
  type TraceResult,
} from "./stochastic.js";
