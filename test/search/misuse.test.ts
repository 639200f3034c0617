import { describe, expect, test } from "vitest";
import { findCriticalLearningRate } from "../../lib/search/index.js";

const parabola = (eta: number) => eta * (eta - 1);

const wrongType: [string, unknown][] = [
  ["baseLoss", "1"],
  ["slope", "steep"],
  ["slope", 1n],
  ["initialLearningRate", null],
  ["initialLearningRate", [1]],
  ["tolerance", "0.1"],
  ["tolerance", true],
  ["method", 1],
  ["signal", {}],
  ["signal", "abort"],
  ["onEvaluation", 3],
  ["maximumDoublings", "40"],
  ["firstCrossing", "yes"],
  ["firstCrossing", 1],
  ["firstCrossing", null],
  ["firstCrossing", {}],
  ["initialError", "big"],
  ["shape", 1],
  ["shape", {}],
];

const outOfRange: [string, unknown][] = [
  ["slope", Number.NaN],
  ["slope", Infinity],
  ["initialLearningRate", 0],
  ["initialLearningRate", -1],
  ["initialLearningRate", Number.NaN],
  ["initialLearningRate", Infinity],
  ["initialLearningRate", 1e300],
  ["tolerance", 0],
  ["tolerance", 1],
  ["tolerance", -0.1],
  ["tolerance", 1e-12],
  ["tolerance", Number.NaN],
  ["method", "newton"],
  ["maximumDoublings", 0],
  ["maximumDoublings", 2.5],
  ["maximumDoublings", 1e6],
  ["firstCrossing", { near: 0 }],
  ["firstCrossing", { near: Number.NaN }],
  ["initialError", 0],
  ["shape", { inverseExponent: 0, bend: 0, deviation: 1 }],
  ["shape", { inverseExponent: 1, bend: Number.NaN, deviation: 1 }],
  ["unheardOf", 1],
];

describe("bad options", () => {
  test.each(wrongType)("%s = %o", async (name, value) => {
    const run = findCriticalLearningRate(parabola, { [name]: value });
    await expect(run).rejects.toBeInstanceOf(TypeError);
    await expect(run).rejects.toMatchObject({
      code: "ERR_INVALID_ARG_TYPE",
      message: expect.stringMatching(/^Expected .+ for .+ but received .+/),
    });
  });

  test.each(outOfRange)("%s = %o", async (name, value) => {
    const run = findCriticalLearningRate(parabola, { [name]: value });
    await expect(run).rejects.toBeInstanceOf(RangeError);
    await expect(run).rejects.toMatchObject({
      code: "ERR_OUT_OF_RANGE",
      message: expect.stringMatching(/^Expected .+ for .+ but received .+/),
    });
  });

  test.each([undefined, null, 1, "loss", {}])("lossAt = %o", async (lossAt) => {
    await expect(findCriticalLearningRate(lossAt as never)).rejects.toMatchObject({
      code: "ERR_INVALID_ARG_TYPE",
    });
  });

  test.each([1, "options", null, []])("options = %o", async (options) => {
    await expect(findCriticalLearningRate(parabola, options as never)).rejects.toMatchObject({
      code: "ERR_INVALID_ARG_TYPE",
    });
  });
});

test.each([undefined, null, "0.5", 1n, {}])("a loss of %o", async (loss) => {
  await expect(findCriticalLearningRate(() => loss as never, { baseLoss: 0 })).rejects.toMatchObject({
    code: "ERR_INVALID_ARG_TYPE",
    message: expect.stringMatching(/^Expected a number for the loss at learning rate 0\.001 but received/),
  });
});

test.each([Number.NaN, Infinity, -Infinity])("L(θ) = %o", async (loss) => {
  const code = "ERR_NON_FINITE_LOSS";
  await expect(findCriticalLearningRate(parabola, { baseLoss: loss })).rejects.toMatchObject({ code });
  await expect(findCriticalLearningRate(() => loss)).rejects.toMatchObject({ code });
});
