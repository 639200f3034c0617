export { criticalSharpness, type LineToMeasure } from "./critical.js";
export { SharpnessMeter } from "./meter.js";
export type { MeterState } from "./meter-state.js";
export type { MeasureOptions } from "./options.js";
export { type RelativeOptions, relativeCriticalSharpness } from "./relative.js";
export { stabilityThreshold, type ThresholdOptions } from "./threshold.js";
