import { beforeAll, describe, expect, test } from "vitest";
import { symmetricEigenpairs } from "../../lib/curvature/product.js";
import { Batch, createModel, type Model } from "../../lib/models/index.js";
import { AdamW, kinds, makeOptimizer, ruleOf, Sgd, stabilityThreshold } from "../../lib/optimizers/index.js";

import { badArgument } from "../models/files.js";

let model: Model;
beforeAll(async () => {
  const config = { model_type: "mlp", layer_sizes: [2, 2, 1], activation: "relu", loss: "mse" } as const;
  model = await createModel(config, { seed: 1, dtype: "float64" });
});

describe("one rule for all parameters", () => {
  const eta = 0.02;
  test.each([0, 0.3])("is that of the formulas, decay %d", (weightDecay) => {
    for (const [momentum, nesterov] of [
      [0, false],
      [0.9, false],
      [0.9, true],
    ] as const) {
      const sgd = new Sgd(model, { learningRate: eta, momentum, nesterov, weightDecay });
      const formula = stabilityThreshold({
        optimizer: "gd",
        learningRate: eta,
        momentum,
        nesterov,
        weightDecay,
      });
      expect(sgd.threshold()).toBe(formula);
      expect(sgd.threshold(2 * eta)).toBeLessThan(formula);
    }
    const adamw = new AdamW(model, { learningRate: eta, betas: [0.8, 0.95], weightDecay });
    expect(adamw.threshold()).toBe(
      stabilityThreshold({ optimizer: "adamw", learningRate: eta, beta1: 0.8, weightDecay }),
    );
  });

  test("of AdamW has a decay by default, as its Δ", () => {
    expect(new AdamW(model, { learningRate: 0.01 }).threshold()).toBeCloseTo(19 * (200 - 0.01), 8);
  });

  test("needs a learning rate", () => {
    const sgd = new Sgd(model, { learningRate: 0 });
    expect(() => sgd.threshold()).toThrow(expect.objectContaining({ code: "ERR_OUT_OF_RANGE" }));
    for (const bad of [0, -1, Number.NaN, "1", null])
      expect(() => sgd.threshold(bad as never)).toThrow(badArgument);
  });
});

/** Settings of a parameter: its ratio r and decay γ; P is what AdamW's √v̂ + ε would be, 1 for SGD. */
interface Weight {
  ratio: number;
  decay: number;
  scale: number;
}
interface Rule {
  momentum: number;
  nesterov?: boolean;
  /** m ← βm + (1−β)g in place of b ← μb + g. */
  average?: boolean;
}

const gainOf = ({ momentum, nesterov, average }: Rule) =>
  average ? (1 + momentum) / (1 - momentum) : (1 + momentum) / (nesterov ? 1 + 2 * momentum : 1);

/** ‖θ‖ after many steps θ ← θ − ηR(S⁻¹m + Γθ) on the quadratic ½θᵀHθ. */
function descend(h: number[][], weights: Weight[], rule: Rule, eta: number): number {
  const { momentum: mu, nesterov, average } = rule;
  let theta = weights.map((_, i) => Math.cos(i + 1));
  let m = weights.map(() => 0);
  for (let step = 0; step < 40_000; step++) {
    const g = h.map((row) => row.reduce((sum, x, j) => sum + x * (theta[j] as number), 0));
    m = m.map((x, i) => mu * x + (average ? 1 - mu : 1) * (g[i] as number));
    theta = theta.map((x, i) => {
      const { ratio, decay, scale } = weights[i] as Weight;
      const update = nesterov ? (g[i] as number) + mu * (m[i] as number) : (m[i] as number);
      return x - eta * ratio * (update / scale + decay * x);
    });
    const norm = Math.hypot(...theta);
    if (!(norm < 1e8) || norm < 1e-8) return norm;
  }
  return Math.hypot(...theta);
}

/** P^(−½)HP^(−½), and its λmax with D/c·c added: λmax(H̃/c + D). */
function spectra(h: number[][], weights: Weight[], gain: number) {
  const p = weights.map(({ ratio, scale }) => scale / ratio);
  const tilde = h.map((row, i) => row.map((x, j) => x / Math.sqrt((p[i] as number) * (p[j] as number))));
  const combined = tilde.map((row, i) =>
    row.map((x, j) => x / gain + (i === j ? (weights[i] as Weight).ratio * (weights[i] as Weight).decay : 0)),
  );
  const largest = (matrix: number[][]) => symmetricEigenpairs(matrix)[0]?.value as number;
  return { preconditioned: largest(tilde), combined: largest(combined) };
}

/** A positive matrix with its eigenvectors across the weights. */
function positive(size: number, seed: number): number[][] {
  const a = Array.from({ length: size }, (_, i) =>
    Array.from({ length: size }, (_, j) => Math.sin(seed + 3 * i + 7 * j * j + i * j)),
  );
  return a.map((row) => a.map((other) => row.reduce((sum, x, k) => sum + x * (other[k] as number), 0)));
}

const rules: Rule[] = [
  { momentum: 0 },
  { momentum: 0.9 },
  { momentum: 0.8, nesterov: true },
  { momentum: 0.9, average: true },
];
const groups: Record<string, [ratio: number, decay: number][]> = {
  "learning rates of their own": [
    [1, 0],
    [10, 0],
    [0.2, 0],
    [3, 0],
  ],
  "decays of their own, large ones": [
    [1, 0],
    [1, 20],
    [1, 5],
    [1, 0],
  ],
  both: [
    [1, 8],
    [4, 4],
    [0.5, 0],
    [2, 2],
  ],
};

describe.each(rules)("the recursion with groups on a quadratic, %o", (rule) => {
  test.each(Object.keys(groups))(
    "%s: stable just if λmax(H̃/c + D) < 2/η; the threshold is on the safe side",
    (name) => {
      for (const seed of [1, 2, 3]) {
        const weights = (groups[name] as [number, number][]).map(([ratio, decay], i) => ({
          ratio,
          decay,
          scale: rule.average ? 0.5 + i : 1,
        }));
        const h = positive(4, seed);
        const gain = gainOf(rule);
        const { preconditioned, combined } = spectra(h, weights, gain);
        const critical = 2 / combined;
        expect(descend(h, weights, rule, 0.99 * critical)).toBeLessThan(1);
        expect(descend(h, weights, rule, 1.01 * critical)).toBeGreaterThan(1e8);

        // The optimizer's own threshold, with a parameter of the model for each weight.
        const common = {
          learningRate: critical,
          weightDecay: 0,
          groups: weights.map(({ ratio, decay }, i) => ({
            parameters: model.parameters[i]?.name as string,
            learningRate: ratio * critical,
            weightDecay: decay,
          })),
        };
        const { momentum, nesterov = false } = rule;
        const optimizer = rule.average
          ? new AdamW(model, { ...common, betas: [momentum, 0.9] })
          : new Sgd(model, { ...common, momentum, nesterov });
        const decays = weights.map(({ ratio, decay }) => ratio * decay);
        const uniform = Math.max(...decays) === Math.min(...decays);
        const relative = optimizer.threshold(critical) / preconditioned;
        if (uniform) expect(relative).toBeCloseTo(1, 10);
        else expect(relative).toBeLessThanOrEqual(1 + 1e-12);
        expect(gain * (2 / critical - Math.min(...decays))).toBeGreaterThanOrEqual(
          preconditioned * (1 - 1e-12),
        );
        // Whatever is below the threshold is stable: the most that it allows of this Hessian.
        const allowed = h.map((row) => row.map((x) => 0.99 * relative * x));
        if (relative > 0) expect(descend(allowed, weights, rule, critical)).toBeLessThan(1);
      }
    },
  );
});

/** Those whose recursion is not linear, so that no eigenvalue of a quadratic makes them unstable. */
const bounded = kinds.filter((type) => ruleOf({ type }).stabilityGain({}) === null);
/** Without momentum, and with that of the defaults. */
const memories = {
  lion: [{}, { betas: [0, 0] }],
  muon: [{}, { momentum: 0, nesterov: false }],
} as Record<string, object[]>;

describe.each(bounded)("%s on a quadratic", (type) => {
  /** Least squares of 35 weights whose minimum is 0. */
  const wave = (size: number, k: number) => Array.from({ length: size }, (_, i) => Math.sin(k + i * i));
  const [rows, features, outputs] = [30, 6, 5];
  const [inputs, truth] = [wave(rows * features, 1), wave(outputs * features, 3)];
  const targets = Array.from({ length: rows * outputs }, (_, at) => {
    const [row, output] = [Math.floor(at / outputs), at % outputs];
    const x = (i: number) => inputs[row * features + i] as number;
    return truth.slice(output * features, (output + 1) * features).reduce((sum, w, i) => sum + w * x(i), 0);
  });
  const batch = Batch.examples({
    inputs: Float64Array.from(inputs),
    targets: Float64Array.from(targets),
    shape: [rows],
  });

  /** Of the second half of many steps: Σs/Σ½ΔᵀHΔ over η, the median of λc·η/2, and of the loss. */
  async function settled(eta: number, options: object) {
    const layers = {
      model_type: "mlp",
      layer_sizes: [features, outputs],
      activation: "relu",
      loss: "mse",
    } as const;
    const quadratic = await createModel(layers, { seed: 1, dtype: "float64" });
    const optimizer = makeOptimizer(quadratic, { type, learningRate: eta, ...options });
    let [slopes, curvatures] = [0, 0];
    const [sharpness, losses]: [number[], number[]] = [[], []];
    for (let t = 0; t < 800; t++) {
      const known = await optimizer.accumulateFrom(batch);
      using direction = await optimizer.direction();
      const after = await quadratic.loss(batch, { perturbation: { direction, learningRate: eta } });
      if (t >= 400) {
        const curvature = (after - known.loss + eta * known.slope) / eta ** 2;
        slopes += known.slope;
        curvatures += curvature;
        sharpness.push((curvature / known.slope) * eta);
        losses.push(known.loss);
      }
      await optimizer.step();
    }
    const median = (list: number[]) => list.toSorted((a, b) => a - b)[list.length / 2] as number;
    return { mean: slopes / curvatures / eta, critical: median(sharpness), loss: median(losses) };
  }

  test.each(memories[type] ?? [{}])("λc settles about 2/η, whatever η is, %o", async (options) => {
    const losses: number[] = [];
    for (const eta of [0.03, 0.3]) {
      const { mean, critical, loss } = await settled(eta, { ...options, weightDecay: 0 });
      expect(Math.abs(mean - 1)).toBeLessThan(0.01);
      expect(critical).toBeGreaterThan(0.7);
      expect(critical).toBeLessThan(1.5);
      losses.push(loss);
    }
    // It goes to and fro as far as η is long.
    const [short, long] = losses as [number, number];
    expect(long / short).toBeGreaterThan(20);
    expect(long / short).toBeLessThan(500);
    const { mean } = await settled(0.1, { ...options, weightDecay: 0.5 });
    expect(Math.abs(mean - 1)).toBeLessThan(0.01);
  });
});
