import { describe, expect, it } from "vitest";
import { runNames } from "../../lib/report/run-differences.js";

describe("names of runs", () => {
  const run = (learningRate: number, size: number, more = {}) => ({
    optimizer: { type: "sgd", learningRate },
    batch: { size },
    ...more,
  });

  it("say in what they differ", () => {
    expect(runNames([run(0.1, 10), run(0.2, 10)])).toEqual(["η = 0.1", "η = 0.2"]);
    expect(runNames([run(0.1, 4000), run(0.1, 10)])).toEqual(["batch of 4,000", "batch of 10"]);
    expect(runNames([run(0.1, 10, { seed: 1 }), run(0.2, 10, { seed: 2 })])).toEqual([
      "η = 0.1, seed 1",
      "η = 0.2, seed 2",
    ]);
  });

  it("name a setting that only one has", () => {
    expect(runNames([run(0.1, 10, { decay: 3 }), run(0.1, 10)])).toEqual(["decay 3", "no decay"]);
  });

  it("are numbers where runs are alike", () => {
    expect(runNames([run(0.1, 10), run(0.1, 10)])).toEqual(["run 1", "run 2"]);
  });
});
