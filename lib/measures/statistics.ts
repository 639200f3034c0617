/** Mean of independent samples and its standard error. */
export function statistics(samples: readonly number[]): { mean: number; standardError: number } {
  const n = samples.length;
  const mean = samples.reduce((a, b) => a + b, 0) / n;
  const squares = samples.reduce((sum, x) => sum + (x - mean) ** 2, 0);
  return { mean, standardError: Math.sqrt(squares / (n - 1) / n) };
}
