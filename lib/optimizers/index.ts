export { AdamW, type AdamWOptions } from "./adamw.js";
export type { OptimizerOptions, ParameterGroup } from "./groups.js";
export { type AccumulatedGradient, Optimizer, type OptimizerRule } from "./optimizer.js";
export * from "./schedules.js";
export { Sgd, type SgdOptions } from "./sgd.js";
