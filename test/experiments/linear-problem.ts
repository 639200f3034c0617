interface Rule {
  accumulate: number;
  measure: number;
  weightDecay: number;
  /** Of AdamW. */
  betas?: readonly [number, number];
  epsilon?: number;
  /** Of SGD. */
  momentum?: number;
  /** Indices of the weights that Δ keeps. Default: all. */
  kept?: readonly number[];
}

/**
 * Least squares y = w·x + b on random data, in plain loops: what the protocol must find. Along any line the loss is a
 * quadratic, so that λc is ΔᵀHΔ/(∇L·Δ).
 */
export function linearProblem({ features, rows, batches }: Record<"features" | "rows" | "batches", number>) {
  let seed = 1;
  const draw = () => {
    seed = (seed * 16807) % 2147483647;
    return seed / 2147483647 - 0.5;
  };
  const data = Array.from({ length: batches }, () => ({
    inputs: Float64Array.from({ length: rows * features }, draw),
    targets: Float64Array.from({ length: rows }, () => 3 * draw()),
  }));
  const size = features + 1;
  const row = (batch: number, i: number) => [
    ...(data[batch] as (typeof data)[number]).inputs.subarray(i * features, (i + 1) * features),
    1,
  ];
  const dot = (a: ArrayLike<number>, b: ArrayLike<number>) =>
    Array.from(a).reduce((sum, x, k) => sum + x * (b[k] as number), 0);

  function lossAndGradient(batch: number, weights: Float64Array) {
    const gradient = new Array<number>(size).fill(0);
    let loss = 0;
    for (let i = 0; i < rows; i++) {
      const x = row(batch, i);
      const residual = dot(weights, x) - ((data[batch] as (typeof data)[number]).targets[i] as number);
      loss += residual ** 2 / rows;
      for (let k = 0; k < size; k++)
        gradient[k] = (gradient[k] as number) + (2 / rows) * residual * (x[k] as number);
    }
    return { loss, gradient };
  }

  /** ΔᵀHΔ of a batch. */
  function curvature(batch: number, delta: readonly number[]) {
    let sum = 0;
    for (let i = 0; i < rows; i++) sum += (2 / rows) * dot(delta, row(batch, i)) ** 2;
    return sum;
  }

  function protocol(weights: Float64Array, rule: Rule) {
    const { accumulate, measure, weightDecay, betas, epsilon = 0, momentum = 0, kept } = rule;
    const m = new Array<number>(size).fill(0);
    const v = new Array<number>(size).fill(0);
    const found: { loss: number; gradientNorm: number; slope: number; sharpness: number }[] = [];
    for (let t = 1; t <= accumulate + measure; t++) {
      const { loss, gradient } = lossAndGradient(t - 1, weights);
      const delta = gradient.map((g, k) => {
        const [beta1, beta2] = betas ?? [momentum, 0];
        m[k] = beta1 * (m[k] as number) + (betas ? 1 - beta1 : 1) * g;
        v[k] = beta2 * (v[k] as number) + (1 - beta2) * g * g;
        const denominator = betas
          ? (1 - beta1 ** t) * (Math.sqrt((v[k] as number) / (1 - beta2 ** t)) + epsilon)
          : 1;
        const whole = (m[k] as number) / denominator + weightDecay * (weights[k] as number);
        return kept === undefined || kept.includes(k) ? whole : 0;
      });
      if (t <= accumulate) continue;
      const slope = dot(gradient, delta);
      const gradientNorm = Math.sqrt(dot(gradient, gradient));
      found.push({ loss, gradientNorm, slope, sharpness: curvature(t - 1, delta) / slope });
    }
    return found;
  }

  return { data, protocol, lossAndGradient, curvature, dot };
}
