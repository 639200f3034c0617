import { forget, type Gaussian, independent, observe, project } from "./estimate.js";

/** State of the prediction of ln ηc. Plain data. */
export interface LevelState {
  /** Running mean of ln ηc and of the features, for each rate. */
  means: {
    rate: number;
    target: number;
    features: number[];
    plainError: number;
    fittedError: number;
    trend: number;
    trendError: number;
  }[];
  /** How ln ηc moves with the features, about the running means; a row for each rate. */
  effects: Gaussian[];
  count: number;
}

/** How fast running means follow: 1 is the last measurement, 0.1 about the last ten. */
const rates = [1, 0.5, 0.25, 0.1];
const memory = 0.9;
const unsure = 0.5;

export function newLevel(features: number): LevelState {
  const zeros = () => new Array<number>(features).fill(0);
  return {
    means: rates.map((rate) => ({
      rate,
      target: 0,
      features: zeros(),
      plainError: 1e-2,
      fittedError: 1e-2,
      trend: 0,
      trendError: 1e-2,
    })),
    effects: rates.map(() =>
      independent(
        zeros(),
        zeros().map(() => unsure),
      ),
    ),
    count: 0,
  };
}

/**
 * ln ηc expected for today's features, and its standard deviation: for every rate a running mean, with and without what
 * the features' deviation from their own running mean adds; of all these the one that erred least of late.
 */
export function predictLevel(
  state: LevelState,
  features: readonly number[],
): { x: number; deviation: number } {
  let best = { x: 0, error: Infinity };
  for (const [i, mean] of state.means.entries()) {
    if (mean.plainError < best.error) best = { x: mean.target, error: mean.plainError };
    if (mean.trendError < best.error) best = { x: mean.target + mean.trend, error: mean.trendError };
    if (mean.fittedError < best.error) best = { x: fitted(state, i, features), error: mean.fittedError };
  }
  return { x: best.x, deviation: Math.sqrt(best.error) };
}

function fitted(state: LevelState, i: number, features: readonly number[]): number {
  const mean = state.means[i] as LevelState["means"][number];
  const moved = features.map((f, k) => f - (mean.features[k] as number));
  return mean.target + project(state.effects[i] as Gaussian, moved).mean;
}

/** Takes in what was measured. */
export function learnLevel(state: LevelState, features: readonly number[], x: number): LevelState {
  const first = state.count === 0;
  const effects: Gaussian[] = [];
  const means = state.means.map((mean, i) => {
    const effect = state.effects[i] as Gaussian;
    if (first) {
      effects.push(effect);
      return { ...mean, target: x, features: [...features] };
    }
    const moved = features.map((f, k) => f - (mean.features[k] as number));
    const plain = (x - mean.target) ** 2;
    const byTrend = (x - mean.target - mean.trend) ** 2;
    const byFit = (x - fitted(state, i, features)) ** 2;
    const noise = Math.max(mean.fittedError, 1e-6);
    const limits = features.map(() => unsure * unsure);
    effects.push(forget(observe(effect, moved, x - mean.target, noise), 1.01, limits));
    const weight = Math.max(1 - memory, 1 / (state.count + 1));
    return {
      rate: mean.rate,
      target: mean.target + mean.rate * (x - mean.target),
      features: mean.features.map((f, k) => f + mean.rate * ((features[k] as number) - f)),
      plainError: mean.plainError + weight * (Math.min(plain, 1) - mean.plainError),
      trend: mean.trend + 0.3 * (mean.rate * (x - mean.target) - mean.trend),
      trendError: mean.trendError + weight * (Math.min(byTrend, 1) - mean.trendError),
      fittedError: mean.fittedError + weight * (Math.min(byFit, 1) - mean.fittedError),
    };
  });
  return { means, effects, count: state.count + 1 };
}
