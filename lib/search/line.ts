import { AbortError, expected, throwIfAborted } from "../errors.js";
import {
  type CheckedOptions,
  checkBaseLoss,
  type Evaluation,
  type LossAt,
  significance,
} from "./search-options.js";

export interface Point extends Evaluation {
  /** Whether the loss is above the base loss, by more than noise. One that is not finite counts as above, a tie does not. */
  readonly above: boolean;
}

/** The loss along a line, as far as it is known: what was evaluated, and the bracket of the first crossing in it. */
export class Line {
  readonly baseLoss: number;
  /** Standard deviation of the noise of a difference of two losses: √2·σ. */
  readonly noise: number;
  /** What a rise must be above. */
  readonly threshold: number;
  readonly points: Point[] = [];
  /** The smallest point above the base loss. */
  upper: Point | undefined;
  /** The largest point before `upper` that is not above. */
  lower: Point | undefined;
  readonly #lossAt: LossAt;
  readonly #options: CheckedOptions;

  private constructor(lossAt: LossAt, baseLoss: number, options: CheckedOptions, room?: number) {
    this.#lossAt = lossAt;
    this.#options = options;
    this.baseLoss = baseLoss;
    this.noise = Math.SQRT2 * (options.lossNoise ?? (Math.abs(baseLoss) * Number.EPSILON) / 2);
    this.threshold = room ?? significance * this.noise;
  }

  /** Takes the base loss from the options or else evaluates it. */
  static async open(lossAt: LossAt, options: CheckedOptions): Promise<Line> {
    throwIfAborted(options.signal);
    const baseLoss = options.baseLoss ?? checkBaseLoss(await call(lossAt, 0, options.signal));
    return new Line(lossAt, baseLoss, options);
  }

  /** The same line, on which a rise is one of more than `room`, with points that are known of it. */
  above(room: number, known: readonly Evaluation[]): Line {
    const line = new Line(this.#lossAt, this.baseLoss, this.#options, room);
    for (const { learningRate, loss } of known) line.#take(learningRate, loss);
    return line;
  }

  /** Evaluates the loss at η > 0 and moves the bracket. */
  async evaluate(learningRate: number): Promise<Point> {
    const point = this.#take(learningRate, await call(this.#lossAt, learningRate, this.#options.signal));
    this.#options.onEvaluation?.({ learningRate, loss: point.loss });
    throwIfAborted(this.#options.signal);
    return point;
  }

  #take(learningRate: number, loss: number): Point {
    const above = !(Number.isFinite(loss) && loss - this.baseLoss <= this.threshold);
    const point = { learningRate, loss, above };
    this.points.push(point);
    if (point.above) {
      if (!this.upper || learningRate < this.upper.learningRate) this.upper = point;
    }
    this.lower = undefined;
    for (const p of this.points) {
      const inside = !p.above && (!this.upper || p.learningRate < this.upper.learningRate);
      if (inside && (!this.lower || p.learningRate > this.lower.learningRate)) this.lower = p;
    }
    return point;
  }

  /** Whether the bracket is as narrow as the tolerance asks. */
  get narrow(): boolean {
    if (!this.lower || !this.upper) return false;
    return 1 - this.lower.learningRate / this.upper.learningRate <= this.#options.tolerance;
  }
}

async function call(lossAt: LossAt, learningRate: number, signal: AbortSignal | undefined): Promise<number> {
  throwIfAborted(signal);
  let loss: unknown;
  try {
    loss = await lossAt(learningRate);
  } catch (error) {
    if (signal?.aborted) throw new AbortError(signal);
    throw error;
  }
  throwIfAborted(signal);
  if (typeof loss !== "number") throw expected("a number", `the loss at learning rate ${learningRate}`, loss);
  return loss;
}
