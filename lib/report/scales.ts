import { exponentText, numberText } from "./numbers.js";

/** An axis: how values become places, and what is written where. */
export interface Scale {
  type: "linear" | "log";
  domain: [number, number];
  ticks: number[];
  /** Shorter ticks without a number, on a log axis. */
  minor: number[];
  format: (tick: number) => string;
}

export interface ScaleOptions {
  /** Default: where the values span two decades. */
  log?: boolean;
  /** A linear axis begins at 0. */
  zero?: boolean;
  /** Ticks at whole numbers only. */
  whole?: boolean;
  /** No room beside the outermost values. */
  tight?: boolean;
  /** About how many ticks. Default 6. */
  count?: number;
}

/** Whether positive values span two decades or more, so that a linear axis would hide most of them. */
export function spansDecades(values: readonly number[]): boolean {
  const [low, high] = extent(values);
  return low > 0 && high / low >= 100;
}

/** A scale on which all values lie, but those that are not finite and, on a log axis, not positive. */
export function scale(values: readonly number[], options: ScaleOptions = {}): Scale {
  const log = options.log ?? spansDecades(values);
  const [low, high] = extent(values, log);
  if (low > high) return scale([1, 2], options);
  return log ? logScale(low, high, options.count ?? 6) : linearScale(low, high, options);
}

function extent(values: readonly number[], positive = false): [number, number] {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    if (!Number.isFinite(value) || (positive && value <= 0)) continue;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return [low, high];
}

/** To far within what doubles hold, so that no room added is infinite or 0. */
function clamp(value: number, lowest: number, highest: number): number {
  return Math.min(highest, Math.max(lowest, value));
}

function linearScale(
  lowest: number,
  highest: number,
  { zero, whole, tight, count = 6 }: ScaleOptions,
): Scale {
  let [low, high] = [clamp(lowest, -1e300, 1e300), clamp(highest, -1e300, 1e300)];
  if (zero) low = Math.min(0, low);
  const largestEnd = Math.max(Math.abs(low), Math.abs(high));
  const size = largestEnd < 1e-290 ? 1 : largestEnd;
  const flat = high - low < size * 1e-9;
  const apart = whole ? Math.max(1, size * 1e-9) : size * 0.1;
  if (flat) [low, high] = [low - apart, high + apart];
  const room = tight ? 0 : (high - low) * 0.05;
  const domain: [number, number] = [zero && lowest >= 0 ? 0 : low - room, high + room];
  const step = niceStep((domain[1] - domain[0]) / count, whole);
  const ticks: number[] = [];
  for (let i = Math.ceil(domain[0] / step); i * step <= domain[1]; i++)
    ticks.push(Number((i * step).toPrecision(12)));
  const largest = Math.max(...ticks.map(Math.abs));
  return { type: "linear", domain, ticks, minor: [], format: (tick) => numberText(tick, { step, largest }) };
}

/** 1, 2 or 5 times a power of ten, at least `least`. */
function niceStep(least: number, whole = false): number {
  const power = Math.floor(Math.log10(least));
  const step = ["1", "2", "5", "10"].map((m) => Number(`${m}e${power}`)).find((s) => s >= least * (1 - 1e-9));
  return Math.max(step as number, whole ? 1 : 0);
}

function logScale(lowest: number, highest: number, count: number): Scale {
  let [low, high] = [clamp(lowest, 1e-290, 1e290), clamp(highest, 1e-290, 1e290)];
  if (high / low < 1.5) [low, high] = [low / 1.25, high * 1.25];
  const decades = Math.log10(high) - Math.log10(low);
  const room = 10 ** Math.min(8, decades * 0.05);
  const domain: [number, number] = [low / room, high * room];
  const every = Math.max(1, Math.ceil(decades / count));
  // Below two decades powers of ten are too few; below one, 1, 2 and 5 of each are too.
  const digits = decades < 0.8 ? [1, 1.5, 2, 3, 4, 5, 6, 8] : decades < 2 ? [1, 2, 5] : [1];
  const at = (multiples: readonly number[], everyPower: number) => {
    const found: number[] = [];
    for (let power = Math.floor(Math.log10(domain[0])); power <= Math.log10(domain[1]); power++)
      if (power % everyPower === 0) found.push(...multiples.map((digit) => Number(`${digit}e${power}`)));
    return found.filter((tick) => tick >= domain[0] && tick <= domain[1]);
  };
  const ticks = at(digits, every);
  const minor = every === 1 ? at([1, 2, 3, 4, 5, 6, 7, 8, 9], 1) : at([1], 1);
  const plain = ticks.every((tick) => tick >= 1e-3 && tick < 1e5);
  return {
    type: "log",
    domain,
    ticks,
    minor: decades < 0.8 || decades > 60 ? [] : minor,
    format: plain ? (tick) => numberText(tick) : exponentText,
  };
}
