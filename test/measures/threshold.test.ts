import { describe, expect, test } from "vitest";
import { stabilityThreshold, type ThresholdOptions } from "../../lib/optimizers/index.js";

test("the values of the paper", () => {
  expect(
    stabilityThreshold({ optimizer: "adamw", beta1: 0.9, learningRate: 0.01, weightDecay: 1 }),
  ).toBeCloseTo(3781, 8);
  expect(stabilityThreshold({ optimizer: "adamw", learningRate: 0.01 })).toBeCloseTo(3800, 8);
  expect(stabilityThreshold({ optimizer: "gd", learningRate: 0.01 })).toBeCloseTo(200, 10);
  expect(stabilityThreshold({ optimizer: "gd", learningRate: 0.01, weightDecay: 1 })).toBeCloseTo(199, 10);
  expect(stabilityThreshold({ optimizer: "adamw", beta1: 0, learningRate: 0.5, weightDecay: 0.1 })).toBe(
    stabilityThreshold({ optimizer: "gd", learningRate: 0.5, weightDecay: 0.1 }),
  );
});

/** |θ| after many steps on the quadratic ½λθ² from θ = 1; AdamW with P fixed. */
function recursion(options: ThresholdOptions, lambda: number): number {
  const { learningRate: eta, weightDecay: decay = 0 } = options;
  const adamw = options.optimizer === "adamw";
  const beta = (options.optimizer === "adamw" ? options.beta1 : options.momentum) ?? 0;
  const nesterov = options.optimizer === "gd" && options.nesterov;
  let theta = 1;
  let m = 0;
  for (let t = 0; t < 20_000 && Math.abs(theta) < 1e6; t++) {
    const gradient = lambda * theta;
    m = beta * m + (adamw ? 1 - beta : 1) * gradient;
    theta -= eta * ((nesterov ? gradient + beta * m : m) + decay * theta);
  }
  return Math.abs(theta);
}

const cases: ThresholdOptions[] = [
  { optimizer: "gd", learningRate: 0.03 },
  { optimizer: "gd", learningRate: 0.03, weightDecay: 2 },
  { optimizer: "gd", learningRate: 0.03, momentum: 0.9 },
  { optimizer: "gd", learningRate: 0.03, momentum: 0.5, weightDecay: 2 },
  { optimizer: "gd", learningRate: 0.03, momentum: 0.9, nesterov: true, weightDecay: 2 },
  { optimizer: "adamw", learningRate: 0.01, beta1: 0.9 },
  { optimizer: "adamw", learningRate: 0.01, beta1: 0.9, weightDecay: 1 },
  { optimizer: "adamw", learningRate: 0.2, beta1: 0.5, weightDecay: 0.3 },
  { optimizer: "adamw", learningRate: 1e-3, beta1: 0.95, weightDecay: 0.1 },
];

describe.each(cases)("%o", (options) => {
  test("the recursion converges 1 % below the threshold and diverges 1 % above", () => {
    const threshold = stabilityThreshold(options);
    expect(recursion(options, 0.99 * threshold)).toBeLessThan(1e-3);
    expect(recursion(options, 1.01 * threshold)).toBeGreaterThan(1e3);
  });
});

test.each<[unknown, string]>([
  [undefined, "ERR_INVALID_ARG_TYPE"],
  [{ optimizer: "sgd", learningRate: 1 }, "ERR_OUT_OF_RANGE"],
  [{ optimizer: 1, learningRate: 1 }, "ERR_INVALID_ARG_TYPE"],
  [{ optimizer: "gd" }, "ERR_INVALID_ARG_TYPE"],
  [{ optimizer: "gd", learningRate: 0 }, "ERR_OUT_OF_RANGE"],
  [{ optimizer: "gd", learningRate: Number.NaN }, "ERR_OUT_OF_RANGE"],
  [{ optimizer: "gd", learningRate: 1, weightDecay: -1 }, "ERR_OUT_OF_RANGE"],
  [{ optimizer: "gd", learningRate: 1, beta1: 0.9 }, "ERR_OUT_OF_RANGE"],
  [{ optimizer: "adamw", learningRate: 1, beta1: 1 }, "ERR_OUT_OF_RANGE"],
  [{ optimizer: "adamw", learningRate: 1, beta1: "0.9" }, "ERR_INVALID_ARG_TYPE"],
  [{ optimizer: "gd", learningRate: 1, momentum: 1 }, "ERR_OUT_OF_RANGE"],
  [{ optimizer: "gd", learningRate: 1, nesterov: 1 }, "ERR_INVALID_ARG_TYPE"],
  [{ optimizer: "adamw", learningRate: 1, momentum: 0.9 }, "ERR_OUT_OF_RANGE"],
  [{ optimizer: "adamw", learningRate: 1, dampening: 0.9 }, "ERR_OUT_OF_RANGE"],
])("misuse %o", (options, code) => {
  expect(() => stabilityThreshold(options as never)).toThrow(expect.objectContaining({ code }));
});
