import { writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { type CurvatureRecord, type TrainEvent, train } from "../../lib/experiments/index.js";
import { stabilityThreshold } from "../../lib/optimizers/index.js";

import { gptRun, mlpRun, readMetrics, temporaryFolder, withoutSeconds } from "./helpers.js";

const folder = temporaryFolder();
const place = (name: string) => path.join(folder, name);
const text = place("text.txt");
writeFileSync(text, "It was the best of times, it was the worst of times. ".repeat(40));
const hessian = { every: 5, tolerance: 1e-3 };
const descent = { type: "sgd", learningRate: 0.1 } as const;
const runs = {
  perceptron: { ...mlpRun, dtype: "float64", optimizer: descent, hessian },
  "language model": { ...gptRun(text), dtype: "float64", hessian },
} as const;

const curvatures = (directory: string) =>
  readMetrics(directory).filter((r): r is CurvatureRecord => r.type === "curvature");

describe("curvature along a run", () => {
  it("is measured at the first step and every so many, beside its threshold", async () => {
    await train(runs.perceptron, { directory: place("perceptron") });
    const records = curvatures(place("perceptron"));
    expect(records.map(({ step }) => step)).toEqual([1, 5, 10]);
    for (const { hessian: found, preconditioned, directionalSharpness, threshold, seconds } of records) {
      expect(preconditioned).toBeNull();
      expect(found.converged).toBe(true);
      expect(found.residual).toBeLessThanOrEqual(1e-3 * (found.eigenvalue as number));
      // Along the gradient itself λdir is a mean of eigenvalues.
      expect(directionalSharpness).toBeLessThanOrEqual((found.eigenvalue as number) * (1 + 1e-3));
      expect(threshold).toBeCloseTo(20, 12);
      expect(seconds).toBeGreaterThan(0);
    }
  });

  it("is λmax(P⁻¹H) with SGD whose groups have learning rates of their own, and counts their decays", async () => {
    const groups = [{ parameters: ["layers.0.weight"], learningRate: 1, weightDecay: 0.02 }];
    const optimizer = { ...descent, weightDecay: 0.1, groups };
    await train({ ...runs.perceptron, optimizer }, { directory: place("groups") });
    for (const { hessian: found, preconditioned, threshold } of curvatures(place("groups"))) {
      expect(preconditioned?.converged).toBe(true);
      // P⁻¹ is 1 or 10 on the diagonal.
      const ratio = (preconditioned?.eigenvalue as number) / (found.eigenvalue as number);
      expect(ratio).toBeGreaterThan(1);
      expect(ratio).toBeLessThan(10 * (1 + 1e-3));
      expect(threshold).toBeCloseTo(2 / 0.1 - 10 * 0.02, 12);
    }
  });

  it("starts from the eigenvector of the time before", async () => {
    const still = { ...runs.perceptron, batch: { size: 200 }, validation: null } as const;
    const optimizer = { ...descent, learningRate: 1e-4 };
    await train({ ...still, optimizer }, { directory: place("still") });
    const [first, ...others] = curvatures(place("still"));
    for (const { hessian: found } of others)
      expect(found.iterations).toBeLessThan((first?.hessian.iterations as number) / 2);
  });

  it("has the optimizer's preconditioner with AdamW", async () => {
    await train(runs["language model"], { directory: place("language model") });
    const records = curvatures(place("language model"));
    expect(records.map(({ step }) => step)).toEqual([1, 5, 10]);
    for (const { hessian: found, preconditioned, learningRate, threshold } of records) {
      expect(preconditioned?.converged).toBe(true);
      expect(preconditioned?.eigenvalue).not.toBe(found.eigenvalue);
      const options = { optimizer: "adamw", learningRate, weightDecay: 0.1, beta1: 0.9 } as const;
      expect(threshold).toBeCloseTo(stabilityThreshold(options), 9);
    }
  });

  it.each(["perceptron", "language model"] as const)(
    "goes on after a stop, bit for bit: %s",
    async (kind) => {
      const directory = place(`stopped ${kind}`);
      const stop = new AbortController();
      const onProgress = (event: TrainEvent) => {
        if (event.type === "step" && event.step === 7) stop.abort();
      };
      const stopped = train(runs[kind], { directory, signal: stop.signal, onProgress });
      await expect(stopped).rejects.toMatchObject({ name: "AbortError" });
      await train(runs[kind], { directory });
      expect(withoutSeconds(readMetrics(directory))).toEqual(withoutSeconds(readMetrics(place(kind))));
    },
  );
});
