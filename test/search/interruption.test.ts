import { describe, expect, test } from "vitest";
import { findCriticalLearningRate } from "../../lib/search/index.js";

const loss = (eta: number) => (eta * (eta - 0.3)) / (1 + eta);

describe.each(["interpolated", "bisection"] as const)("%s", (method) => {
  test("aborting during any evaluation rejects with an AbortError", async () => {
    const full = await findCriticalLearningRate(loss, { method, slope: 0.3 });
    for (let at = 1; at <= full.forwardPasses; at++) {
      const controller = new AbortController();
      let calls = 0;
      const run = findCriticalLearningRate(
        async (eta) => {
          if (++calls === at) controller.abort("enough");
          return loss(eta);
        },
        { method, slope: 0.3, signal: controller.signal },
      );
      await expect(run).rejects.toMatchObject({ name: "AbortError", code: "ABORT_ERR", cause: "enough" });
      expect(calls).toBe(at);
    }
  });

  test("aborting in onEvaluation stops before the next evaluation", async () => {
    const controller = new AbortController();
    let calls = 0;
    const run = findCriticalLearningRate(
      (eta) => {
        calls++;
        return loss(eta);
      },
      { method, baseLoss: 0, slope: 0.3, signal: controller.signal, onEvaluation: () => controller.abort() },
    );
    await expect(run).rejects.toMatchObject({ name: "AbortError" });
    expect(calls).toBe(1);
  });

  test("an aborted signal costs no evaluation", async () => {
    let calls = 0;
    const run = findCriticalLearningRate(() => ++calls, { method, signal: AbortSignal.abort() });
    await expect(run).rejects.toMatchObject({ code: "ABORT_ERR" });
    expect(calls).toBe(0);
  });

  test("what lossAt throws at any evaluation is what the search throws", async () => {
    const full = await findCriticalLearningRate(loss, { method, slope: 0.3 });
    for (let at = 1; at <= full.forwardPasses; at++) {
      let calls = 0;
      const broken = (eta: number) => {
        if (++calls === at) throw new Error(`pass ${at}`);
        return loss(eta);
      };
      await expect(findCriticalLearningRate(broken, { method, slope: 0.3 })).rejects.toThrow(`pass ${at}`);
      calls = 0;
      const rejecting = async (eta: number) => broken(eta);
      await expect(findCriticalLearningRate(rejecting, { method, slope: 0.3 })).rejects.toThrow(`pass ${at}`);
    }
  });

  test("onEvaluation sees every evaluation, in order", async () => {
    const seen: unknown[] = [];
    const result = await findCriticalLearningRate(loss, { method, onEvaluation: (e) => seen.push(e) });
    expect(seen).toEqual(result.evaluations);
  });
});
