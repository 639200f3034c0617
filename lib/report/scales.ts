import { exponentText, numberText } from "./numbers.js";

/** An axis: how values become places, and what is written where. */
export interface Scale {
  type: "linear" | "log";
  domain: [number, number];
  ticks: number[];
  format: (tick: number) => string;
}

/** Finite and, on a log axis, positive. */
function drawable(values: Iterable<number>, log: boolean): number[] {
  return [...values].filter((v) => Number.isFinite(v) && (!log || v > 0));
}

function extent(values: readonly number[]): [number, number] {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return [low, high];
}

/** Whether positive values span two decades or more, so that a linear axis would hide most of them. */
export function spansDecades(values: Iterable<number>): boolean {
  const all = [...values].filter(Number.isFinite);
  if (all.some((v) => v <= 0)) return false;
  const [low, high] = extent(all);
  return high / low >= 100;
}

export interface ScaleOptions {
  /** Default: where the values span two decades. */
  log?: boolean;
  /** A linear axis begins at 0. */
  zero?: boolean;
  /** Ticks at whole numbers only, and no room beside the outermost values. */
  whole?: boolean;
  /** About how many ticks. */
  count?: number;
}

/** A scale on which all values lie. */
export function scale(values: Iterable<number>, options: ScaleOptions = {}): Scale {
  const all = [...values];
  const log = options.log ?? spansDecades(all);
  const shown = drawable(all, log);
  const range: [number, number] = shown.length > 0 ? extent(shown) : [1, 1];
  return log ? logScale(range, options.count ?? 6) : linearScale(range, options);
}

function linearScale([low, high]: [number, number], { zero, whole, count = 6 }: ScaleOptions): Scale {
  if (zero) low = Math.min(0, low);
  if (low === high) [low, high] = [low - (Math.abs(low) || 1) * 0.1, high + (Math.abs(high) || 1) * 0.1];
  const room = whole ? 0 : (high - low) * 0.04;
  const domain: [number, number] = [zero && low >= 0 ? 0 : low - room, high + room];
  const step = niceStep((domain[1] - domain[0]) / count, whole);
  const ticks: number[] = [];
  for (let i = Math.ceil(domain[0] / step); i * step <= domain[1] * (1 + 1e-12); i++)
    ticks.push(Number((i * step).toPrecision(12)));
  const largest = Math.max(...ticks.map(Math.abs));
  return { type: "linear", domain, ticks, format: (tick) => numberText(tick, step, largest) };
}

/** 1, 2 or 5 times a power of ten, at least `least`. */
function niceStep(least: number, whole = false): number {
  const power = 10 ** Math.floor(Math.log10(least));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= least * (1 - 1e-9)) as number;
  return whole ? Math.max(1, step) : step;
}

function logScale([low, high]: [number, number], count: number): Scale {
  if (high / low < 1.5) [low, high] = [low / 1.25, high * 1.25];
  const room = (high / low) ** 0.04;
  const domain: [number, number] = [low / room, high * room];
  const decades = Math.log10(domain[1] / domain[0]);
  const within = (v: number) => v >= domain[0] * (1 - 1e-12) && v <= domain[1] * (1 + 1e-12);
  const [first, last] = [Math.floor(Math.log10(domain[0])), Math.ceil(Math.log10(domain[1]))];
  const every = Math.max(1, Math.ceil(decades / count));
  const digits = decades < 0.8 ? [1, 1.5, 2, 3, 4, 5, 6, 8] : decades < 2 ? [1, 2, 5] : [1];
  const ticks: number[] = [];
  for (let power = first; power <= last; power++)
    if (digits.length > 1 || power % every === 0)
      for (const digit of digits) ticks.push(Number(`${digit}e${power}`));
  const shown = ticks.filter(within);
  const plain = shown.every((tick) => tick >= 1e-3 && tick < 1e5);
  return { type: "log", domain, ticks: shown, format: plain ? (tick) => numberText(tick) : exponentText };
}
