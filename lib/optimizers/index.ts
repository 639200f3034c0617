export {
  CriticalWarmup,
  type CriticalWarmupOptions,
  type CriticalWarmupState,
  criticalWarmupKeys,
} from "./critical-warmup.js";
export type { OptimizerOptions, ParameterGroup } from "./groups.js";
export { type AccumulatedGradient, Optimizer, requireMetric } from "./optimizer.js";
export {
  hasPreconditioner,
  kinds,
  makeOptimizer,
  type OptimizerChoice,
  optimizerSchema,
  ruleOf,
  usualAccumulation,
  usualOptimizer,
} from "./registry.js";
export type { OptimizerRule } from "./rule.js";
export * from "./rules.js";
export {
  type ConstantOptions,
  type CosineOptions,
  constantSchedule,
  cosineSchedule,
  type Schedule,
  type WarmupStableDecayOptions,
  warmupStableDecaySchedule,
} from "./schedules.js";
export { type FoundState, findOptimizerState, locateState } from "./stored/find-state.js";
export { type LoadOptimizerOptions, loadOptimizer } from "./stored/load-optimizer.js";
export { stabilityThreshold, type ThresholdOptions } from "./threshold.js";
