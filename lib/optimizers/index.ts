export { AdamW, type AdamWOptions } from "./adamw.js";
export type { OptimizerOptions, ParameterGroup } from "./groups.js";
export { type AccumulatedGradient, Optimizer, type OptimizerRule } from "./optimizer.js";
export {
  makeOptimizer,
  type OptimizerChoice,
  optimizerSchema,
  ruleOf,
  usualAccumulation,
  usualOptimizer,
} from "./registry.js";

export {
  type ConstantOptions,
  type CosineOptions,
  constantSchedule,
  cosineSchedule,
  type Schedule,
  type WarmupStableDecayOptions,
  warmupStableDecaySchedule,
} from "./schedules.js";
export { Sgd, type SgdOptions } from "./sgd.js";
