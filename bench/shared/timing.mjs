// Timing on machines that are noisy: what is compared runs in turns, and the figure is a ratio.

/** Seconds that a call takes. */
export async function seconds(call) {
  const started = performance.now();
  await call();
  return (performance.now() - started) / 1000;
}

export function quantile(values, q) {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (sorted.length - 1) * q;
  const [low, high] = [sorted[Math.floor(at)], sorted[Math.ceil(at)]];
  return low + (high - low) * (at - Math.floor(at));
}

export const median = (values) => quantile(values, 0.5);
export const mean = (values) => values.reduce((sum, v) => sum + v, 0) / values.length;

/**
 * Runs calls in turns, `rounds` times after `warmup` rounds, the order turned around every second round. A call that
 * measures its own time, in another process, returns { seconds }.
 *
 * @param calls { name: call }
 * @returns for each name the seconds of each round
 */
export async function inTurns(calls, { rounds, warmup = 2 }) {
  const names = Object.keys(calls);
  const times = Object.fromEntries(names.map((name) => [name, []]));
  for (let round = -warmup; round < rounds; round++) {
    for (const name of round % 2 === 0 ? names : [...names].reverse()) {
      let own;
      const around = await seconds(async () => {
        own = await calls[name]();
      });
      if (round >= 0) times[name].push(own?.seconds ?? around);
    }
  }
  return times;
}

/** The median of the rounds' ratios, with its quartiles: what disturbs a whole round cancels out. */
export function ratio(times, of, to) {
  const ratios = times[of].map((t, i) => t / times[to][i]);
  return { median: median(ratios), low: quantile(ratios, 0.25), high: quantile(ratios, 0.75) };
}
