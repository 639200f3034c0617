/** A normal distribution over a few unknowns. */
export interface Gaussian {
  mean: number[];
  /** Row by row; symmetric. */
  covariance: number[][];
}

/** Independent unknowns with the given means and standard deviations. */
export function independent(mean: readonly number[], deviations: readonly number[]): Gaussian {
  return {
    mean: [...mean],
    covariance: deviations.map((d, i) => deviations.map((_, j) => (i === j ? d * d : 0))),
  };
}

/** Expected value and variance of the linear form h·unknowns. */
export function project(g: Gaussian, h: readonly number[]): { mean: number; variance: number } {
  let mean = 0;
  let variance = 0;
  for (let i = 0; i < h.length; i++) {
    mean += at(h, i) * at(g.mean, i);
    for (let j = 0; j < h.length; j++) variance += at(h, i) * at(h, j) * entry(g, i, j);
  }
  return { mean, variance: Math.max(0, variance) };
}

/** The distribution after h·unknowns was observed as `value`, with a normal error of variance `noise` > 0 (Kalman's update). */
export function observe(g: Gaussian, h: readonly number[], value: number, noise: number): Gaussian {
  const { mean, variance } = project(g, h);
  const gain = h.map((_, i) => h.reduce((sum, hj, j) => sum + entry(g, i, j) * hj, 0));
  const total = variance + noise;
  return {
    mean: g.mean.map((m, i) => m + (at(gain, i) / total) * (value - mean)),
    covariance: g.covariance.map((row, i) => row.map((c, j) => c - (at(gain, i) * at(gain, j)) / total)),
  };
}

/** Widens every deviation by a factor, up to a limit on each variance: what was learned long ago counts for less. */
export function forget(g: Gaussian, factor: number, limits: readonly number[]): Gaussian {
  const scale = g.covariance.map((row, i) =>
    Math.max(1, Math.min(factor, Math.sqrt(at(limits, i) / Math.max(at(row, i), 1e-300)))),
  );
  return {
    mean: [...g.mean],
    covariance: g.covariance.map((row, i) =>
      // The product of both first: the matrix stays symmetric to the last bit. What is not grows by the factor every time.
      row.map((c, j) => c * (at(scale, i) * at(scale, j))),
    ),
  };
}

function at(values: readonly number[], i: number): number {
  return values[i] as number;
}

function entry(g: Gaussian, i: number, j: number): number {
  return at(g.covariance[i] as number[], j);
}
