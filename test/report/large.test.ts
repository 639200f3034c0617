import { expect, it } from "vitest";
import { parseConfiguration } from "../../lib/experiments/train/train-configuration.js";
import type { MetricsRecord } from "../../lib/experiments/train/train-records.js";
import { trainReport } from "../../lib/experiments/train/train-report.js";
import { page } from "../../lib/report/index.js";
import { overview } from "../../lib/report/write.js";
import { configuration, find, landscape, measurement } from "./helpers.js";

const count = 1_000_000;

/** Every status, second derivatives and held-out losses, and losses that are not finite at the end. */
async function* records(): AsyncGenerator<MetricsRecord> {
  const kinds = [measurement(10), measurement(Infinity), measurement(NaN), measurement(0)] as const;
  for (let n = 1; n <= count; n++) {
    const noise = ((n * 7919) % 1000) / 1000;
    const learningRate = 0.1 * Math.min(1, n / (count / 5));
    const kind = kinds[n % 31 === 0 ? 1 : n % 37 === 0 ? 2 : n % 41 === 0 ? 3 : 0];
    if (kind.status === "converged") {
      kind.criticalSharpness = 10 + noise + n / 1e5;
      kind.criticalLearningRate = 2 / kind.criticalSharpness;
      kind.lower = 0.97 * kind.criticalLearningRate;
      kind.upper = 1.03 * kind.criticalLearningRate;
    }
    yield {
      type: "step",
      step: n,
      tokens: n,
      loss: n > count - 1000 ? NaN : 2 + Math.exp(-n / 1e5) + 0.2 * noise,
      learningRate,
      gradientNorm: 1,
      seconds: 1,
      measurement: kind,
    };
    if (n % 10 === 0) yield { type: "validation", step: n, loss: 2.2 + noise };
    if (n % 100 === 0)
      yield {
        ...{ type: "curvature", step: n, learningRate, preconditioned: null, seconds: 1 },
        hessian: { eigenvalue: 15 + noise, residual: noise, iterations: 9, converged: noise < 0.8 },
        ...{ directionalSharpness: 10 * noise - 1, threshold: 2 / learningRate },
      };
  }
  yield landscape;
}

it("a million steps make a page of at most 3 MB, all figures in one picture and a line each", async () => {
  const content = await trainReport({
    directory: "nowhere",
    configuration: parseConfiguration({ ...configuration, steps: 2 * count }),
    facts: { created: undefined, versions: {} },
    records,
  });
  const html = page(content);
  expect(html.length).toBeLessThan(3e6);
  expect(Buffer.byteLength(html)).toBeLessThan(3e6);
  expect(html).toContain("1,000,000 of 2,000,000 steps");
  expect(html).toContain("unresolved (26,");
  expect(find(html, "figure .wide svg")).toHaveLength(content.figures.length);
  expect(content.figures).toHaveLength(7);
  expect(overview(content.figures).length).toBeLessThan(3e6);
  let lines = 0;
  for (const piece of content.csv)
    for (let at = piece.indexOf("\n"); at >= 0; at = piece.indexOf("\n", at + 1)) lines++;
  expect(lines).toBe(count + 1);
}, 600_000);
