export { criticalSharpness, type LineToMeasure } from "./critical.js";
export type { CurvatureOptions } from "./curvature-options.js";
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
export { type MatrixOptions, type SharpnessMatrix, sharpnessMatrix } from "./matrix.js";
export type { MeasuredSharpness } from "./measure-line.js";
export { SharpnessMeter } from "./meter.js";
export type { MeterState } from "./meter-state.js";
export type { MeasureOptions } from "./options.js";
export { type RelativeOptions, relativeCriticalSharpness } from "./relative.js";
export { stabilityThreshold, type ThresholdOptions } from "./threshold.js";
export { hessianTrace, type TraceOptions, type TraceResult } from "./trace.js";
