import { Matrix, solve } from "ml-matrix";
import type { Batch } from "../models/index.js";
import type { LossAt } from "../search/index.js";
import type { ComputeDtype } from "../torch/index.js";

/** Spacing of numbers next to 1. */
const spacing = { float64: 2 ** -52, float32: 2 ** -23, bfloat16: 2 ** -8 } as const;

/** Relative rounding error of a loss over many terms, which are added up in float64; its order of magnitude. */
export const lossPrecision = { float64: 1e-15, float32: 3e-8, bfloat16: 5e-4 } as const;

/** σ of one loss before any was measured: the spacing of the arithmetic in each of a batch's terms, independent of each other. */
export function expectedLossNoise(dtype: ComputeDtype, batch: Pick<Batch, "count">, loss: number): number {
  return (spacing[dtype] * Math.abs(loss)) / Math.sqrt(batch.count);
}

/**
 * Standard error of a slope ∇L·Δ that the rounding of ∇L makes: each of the products has an error of its own. Within a factor of 2 or
 * so of what was seen on networks of a thousand to a few hundred thousand parameters.
 */
export function slopeNoise(
  dtype: ComputeDtype,
  norms: { gradient: number; direction: number; parameters: number },
): number {
  return (spacing[dtype] * norms.gradient * norms.direction) / Math.sqrt(Math.max(1, norms.parameters));
}

const points = 12;
/** A polynomial that leaves so much more than one of a higher degree leaves what is no noise. */
const bent = 2.5;

/**
 * σ of one loss by what losses scatter about a polynomial through twelve of them near a learning rate, close enough together for what
 * the polynomial leaves out to stay below the noise that is expected. Known to about a quarter of itself.
 *
 * @param relativeNoise the noise expected, as a part of what the loss changes by up to `learningRate`
 * @returns NaN where a loss is not finite
 */
export async function scatterOfLosses(
  lossAt: LossAt,
  learningRate: number,
  relativeNoise: number,
): Promise<number> {
  const reach = Math.min(0.12, 0.12 * relativeNoise ** 0.25);
  const places = Array.from({ length: points }, (_, i) => (2 * i) / (points - 1) - 1);
  const losses: number[] = [];
  for (const place of places) losses.push(await lossAt(learningRate * (1 + reach * place)));
  if (!losses.every(Number.isFinite)) return NaN;
  const level = losses[0] as number;
  const rises = losses.map((loss) => loss - level);
  // Where a line bends fast, a polynomial leaves more than noise does, and one of a higher degree far less.
  const [cubic, fifth, seventh] = [3, 5, 7].map((degree) => scatter(places, rises, degree)) as [
    number,
    number,
    number,
  ];
  if (cubic <= bent * fifth) return cubic;
  return fifth <= bent * seventh ? fifth : seventh;
}

/** Standard deviation of values about their least-squares polynomial. */
function scatter(places: readonly number[], values: readonly number[], degree: number): number {
  const powers = new Matrix(places.map((x) => Array.from({ length: degree + 1 }, (_, power) => x ** power)));
  const column = Matrix.columnVector([...values]);
  const left = Matrix.sub(column, powers.mmul(solve(powers, column)));
  return left.norm() / Math.sqrt(values.length - degree - 1);
}

/** What a loss's noise depends on. */
export interface NoiseCircumstances {
  dtype: ComputeDtype;
  /** Of the batch: labels that count, or rows. */
  count: number;
  /** L(θ) */
  loss: number;
  /** η‖Δ‖: how far weights are moved. In bfloat16 small moves change the rounding of few of them. Null where it is not known. */
  distance: number | null;
}

/** A loss's noise as it was measured: σ/|L(θ)|, of how many measurements, and where. Plain data. */
export type MeasuredNoise = NoiseCircumstances & { relative: number; times: number };

/** Measurements of a noise that are enough. */
const enough = 2;

const remembered = 16;

/** The noise of a model's losses as it was measured, the latest first. */
export class NoiseMemory {
  #measured: MeasuredNoise[] = [];

  /** As plain data; a copy. */
  state(): MeasuredNoise[] {
    return structuredClone(this.#measured);
  }

  /** Whether a value, of a file for example, is a state. */
  static accepts(value: unknown): value is MeasuredNoise[] {
    return (
      Array.isArray(value) &&
      value.every(
        (one) =>
          typeof one === "object" &&
          one !== null &&
          one.dtype in spacing &&
          (one.distance === null || Number.isFinite(one.distance)) &&
          [one.count, one.loss, one.relative, one.times].every(Number.isFinite),
      )
    );
  }

  restore(state: readonly MeasuredNoise[]): void {
    this.#measured = structuredClone([...state]);
  }

  /** Takes in σ of one loss. */
  remember(circumstances: NoiseCircumstances, sigma: number): void {
    const relative = sigma / Math.abs(circumstances.loss || 1);
    const before = this.#find(circumstances);
    const times = before?.times ?? 0;
    const sum = times * (before?.relative ?? 0) ** 2 + relative ** 2;
    const one = { ...circumstances, relative: Math.sqrt(sum / (times + 1)), times: times + 1 };
    this.#measured = [one, ...this.#measured.filter((other) => other !== before)].slice(0, remembered);
  }

  /** σ of one loss as it was measured in nearly the same circumstances; whether it was so often enough. */
  recall(now: NoiseCircumstances): { sigma: number; isSettled: boolean } | undefined {
    const found = this.#find(now);
    if (!found) return undefined;
    const sigma = found.relative * Math.abs(now.loss || 1) * Math.sqrt(found.count / now.count);
    return { sigma, isSettled: found.times >= enough };
  }

  #find(now: NoiseCircumstances): MeasuredNoise | undefined {
    return this.#measured.find(
      ({ dtype, count, loss, distance }) =>
        dtype === now.dtype &&
        isWithin(count, now.count, 1.5) &&
        isWithin(Math.abs(loss), Math.abs(now.loss), 2) &&
        (dtype !== "bfloat16" ||
          distance === null ||
          now.distance === null ||
          isWithin(distance, now.distance, 3)),
    );
  }
}

function isWithin(a: number, b: number, factor: number): boolean {
  return a <= b * factor && b <= a * factor;
}
