import * as z from "zod";
import { count, flags, type OptionsOf } from "../options/index.js";
import { allowKey, searchKeys } from "../search/index.js";

/** How a line is searched and its losses are computed: what a measurement shares with the configuration of a run. */
export const measureKeys = {
  /** ε of the certificate 1 − lower/upper ≤ ε. Default 1/16. */
  tolerance: searchKeys.tolerance,
  /** Default `interpolated`. */
  method: searchKeys.method,
  /** Of `estimated`: every n-th measurement goes on to the certificate, and says what the estimate was. */
  certifyEvery: count
    .optional()
    .describe(
      "Every n-th estimate goes on to the certificate, so that the two can be compared. Default: none.",
    )
    .register(flags, { flag: "--certify-every <n>" }),
  /** How θ − η·Δ comes about: `view` (default) needs a scratch buffer, `in-place` a byte a weight. The losses are the same. */
  perturbation: z
    .enum(["view", "in-place"])
    .default("view")
    .describe("How θ − ηΔ comes about: in a scratch buffer, or in place with a byte a weight.")
    .register(flags, { flag: "--perturbation <how>" }),
  /** N: learning rates besides at which an earlier crossing is looked for, over the three decades below the one found. */
  scan: searchKeys.scan,
  /** Where rounding leaves no answer in bfloat16: measure again in float32, with a backward pass for the slope. Default: no. */
  resolve: z
    .enum(["float32"])
    .optional()
    .describe("Measure again so where rounding in bfloat16 leaves no answer. Default: no.")
    .register(flags, { flag: "--resolve <type>" }),
};

/** Those that a call takes besides. */
export const measureOptions = {
  ...measureKeys,
  /** Where a search starts that has nothing to go by. Default 1e-3. */
  initialLearningRate: searchKeys.initialLearningRate,
  /** Rows or sequences at a time. Default: all at once. */
  microBatch: count
    .optional()
    .describe("Rows or sequences at a time: bounds the memory. Default: all at once.")
    .register(flags, { flag: "--micro-batch <n>" }),
  /**
   * σ: standard deviation of the rounding of one loss, in the loss's units. Default: measured near the crossing, in twelve forward
   * passes; a meter remembers it from its first two crossings on.
   */
  lossNoise: searchKeys.lossNoise,
  /**
   * A loss budget: `allowed` of the result is then the largest step at which the loss stays within this part above L(θ), 0.01 for 1 %.
   * It takes a few forward passes besides. The loss must be above 0: `ERR_ALLOWED_LOSS`. Default: none.
   */
  allow: allowKey
    .optional()
    .describe("The largest step too that raises the loss by no more than this part of it: 0.01 is 1 %.")
    .register(flags, { flag: "--allow <x>" }),
};

export const measureSchema = z.strictObject(measureOptions);

/** How a line is searched and its losses are computed. */
export type MeasureOptions = OptionsOf<typeof measureOptions>;
/** The same, with every default in its place. */
export type Measure = z.output<typeof measureSchema>;

/** The part of a set's values that says how to measure. */
export function measureOf({
  tolerance,
  method,
  certifyEvery,
  perturbation,
  scan,
  resolve,
  initialLearningRate,
  microBatch,
  lossNoise,
  allow,
}: Measure): Measure {
  return {
    tolerance,
    method,
    certifyEvery,
    perturbation,
    scan,
    resolve,
    initialLearningRate,
    microBatch,
    lossNoise,
    allow,
  };
}

/** Those that the search itself takes, of the n-th measurement. */
export function searchOptions(measure: Measure, n = 1) {
  const { tolerance, method, initialLearningRate, scan, certifyEvery = Infinity } = measure;
  return {
    tolerance,
    method,
    initialLearningRate,
    scan,
    certify: method === "estimated" && n % certifyEvery === 0,
  };
}
