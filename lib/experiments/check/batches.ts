import { type Batch, Direction, type Gradient, type Model } from "../../models/index.js";
import { takeGradient } from "../../runs/index.js";
import { measurementRecord, NoiseMemory, SharpnessMeter } from "../../sharpness/index.js";
import { finiteOrNull } from "../../statistics.js";
import type { CheckConfiguration } from "./check-configuration.js";
import type { CheckBatchRecord } from "./check-records.js";
import type { Moments } from "./moments.js";

/** What was computed, in passes and gradients of one batch. */
export interface Cost {
  gradients: number;
  forwardPasses: number;
}

/** Forward passes of a line that is estimated, or certified, as a rule. */
const passesOfLine = { estimated: 3, interpolated: 4, bisection: 8 } as const;

/** What a check costs at most, as a rule, in training steps: a gradient is one, as are three forward passes. */
export function expectedSteps(
  { search, points, trial }: Pick<CheckConfiguration, "search" | "points" | "trial">,
  { accumulated, batches, joins }: { accumulated: number; batches: number; joins: boolean },
): number {
  const line = passesOfLine[search.method];
  const lines = batches * line + (batches - 1) * (line + 1);
  const besides = batches * (points + 1) + batches - 1;
  // Pairs, fours and so on: each time all batches once more.
  const joined = joins ? Math.floor(Math.log2(batches)) * batches * (line + 1) : 0;
  const tried = trial === 0 ? 0 : trial + 1;
  const passes = lines + besides + joined + tried * passesOfLine.estimated;
  return Math.ceil(accumulated + batches + tried + passes / 3);
}

/** What a check works on. */
export interface CheckSubject {
  model: Model;
  moments: Moments;
  configuration: CheckConfiguration;
  /** The η that is asked about. */
  learningRate: number;
  cost: Cost;
  signal: AbortSignal | undefined;
}

/** A batch, or several that follow each other as one, with the gradient of its loss. */
interface Node extends Disposable {
  together: number;
  index: number;
  batch: Batch;
  gradient: Gradient | Direction;
  loss: number;
}

const vectorOf = ({ gradient }: Pick<Node, "gradient">) =>
  gradient instanceof Direction ? gradient : gradient.gradient;

/**
 * λc of batches at weights that do not move, each along the Δ that its own gradient makes of the same moments: of each alone, and of
 * two, four and more that follow each other as one, whose gradients are sums of theirs. Each but the first is the held-out batch of the next.
 */
export class BatchLines {
  readonly #subject: CheckSubject;
  readonly #own: SharpnessMeter;
  #heldOut: SharpnessMeter | undefined;
  readonly #noise = new NoiseMemory();
  readonly #rows: number;

  /** @param rows of a batch */
  constructor(subject: CheckSubject, rows: number) {
    this.#subject = subject;
    this.#rows = rows;
    this.#own = this.#meter();
  }

  /**
   * @param batches one after the other
   * @param join several of them as one; null where their losses do not add up to that of one
   */
  async *measure(
    batches: readonly Batch[],
    join: ((first: number, count: number) => Batch) | null,
  ): AsyncGenerator<CheckBatchRecord> {
    const nodes: Node[] = [];
    let previous: Node | undefined;
    const freed = new Set<Node>();
    const free = (node: Node) => {
      if (node === previous) freed.add(node);
      else node[Symbol.dispose]();
    };
    const meters = new Map<number, SharpnessMeter>();
    try {
      for (const [index, batch] of batches.entries()) {
        let node = await this.#nodeOf(batch, index);
        nodes.push(node);
        yield await this.#measureOne(node, previous);
        const before = previous;
        previous = node;
        if (before && freed.has(before)) before[Symbol.dispose]();
        while (join && nodes.at(-2)?.together === node.together) {
          const [left, right] = nodes.splice(-2) as [Node, Node];
          node = await this.#joined(left, right, join);
          nodes.push(node);
          for (const child of [left, right]) free(child);
          const { together } = node;
          const meter = meters.get(together) ?? this.#warmMeter(this.#rows);
          meters.set(together, meter);
          yield await this.#measureJoined(node, meter);
        }
      }
    } finally {
      for (const node of [...nodes, ...freed]) node[Symbol.dispose]();
    }
  }

  #meter(usualRows?: number): SharpnessMeter {
    const { configuration, learningRate: initialLearningRate } = this.#subject;
    const { search, batch } = configuration;
    const microBatch = batch.microBatch ?? usualRows;
    return new SharpnessMeter({ ...search, initialLearningRate, microBatch }, this.#noise);
  }

  /** One that begins with what was learnt of the batches alone. */
  #warmMeter(usualRows?: number): SharpnessMeter {
    const meter = this.#meter(usualRows);
    meter.restore(this.#own.state());
    return meter;
  }

  async #nodeOf(batch: Batch, index: number): Promise<Node> {
    const { model, configuration, cost, signal } = this.#subject;
    const { recompute, batch: shape } = configuration;
    const gradient = await model.gradient(batch, { microBatch: shape.microBatch, recompute, signal });
    cost.gradients++;
    return {
      ...{ together: 1, index, batch, gradient, loss: gradient.loss },
      [Symbol.dispose]: () => gradient.gradient.dispose(),
    };
  }

  async #joined(left: Node, right: Node, join: (first: number, count: number) => Batch): Promise<Node> {
    const { together, index } = left;
    const batch = join(together * index, 2 * together);
    const counts = [left.batch.count, right.batch.count] as const;
    const [a, b] = counts.map((count) => count / (counts[0] + counts[1])) as [number, number];
    const { signal } = this.#subject;
    const gradient = await Direction.combine([vectorOf(left), vectorOf(right)], [a, b], { signal });
    return {
      ...{ together: 2 * together, index: index / 2, batch, gradient, loss: a * left.loss + b * right.loss },
      [Symbol.dispose]() {
        gradient.dispose();
        batch.dispose();
      },
    };
  }

  async #measureOne(node: Node, other: Node | undefined): Promise<CheckBatchRecord> {
    return this.#along(node, async (direction, gradientNorm) => {
      const measurement = await this.#line(this.#own, node, direction);
      const critical = measurement.criticalLearningRate ?? this.#subject.learningRate;
      this.#heldOut ??= this.#warmMeter();
      const heldOut = other ? await this.#line(this.#heldOut, other, direction) : null;
      const points = await this.#points(node, direction, critical || this.#subject.learningRate);
      return {
        ...{ type: "batch", together: 1, index: node.index, loss: node.loss, gradientNorm, measurement },
        ...{ heldOut, points },
        heldOutLoss: other ? await this.#lossAt(other, direction, this.#subject.learningRate) : null,
      };
    });
  }

  async #measureJoined(node: Node, meter: SharpnessMeter): Promise<CheckBatchRecord> {
    return this.#along(node, async (direction, gradientNorm) => {
      const measurement = await this.#line(meter, node, direction);
      const { together, index, loss } = node;
      return {
        ...{ type: "batch", together, index, loss, gradientNorm, measurement },
        ...{ heldOut: null, points: [], heldOutLoss: null },
      };
    });
  }

  /** Calls a body with the Δ that a gradient makes of the moments, and ‖∇L‖. */
  async #along<T>(node: Node, body: (direction: Direction, gradientNorm: number) => Promise<T>): Promise<T> {
    const { moments, configuration, signal } = this.#subject;
    const { weightDecay, gradientClipping } = configuration;
    using optimizer = await moments.optimizer(signal);
    const gradientNorm = await takeGradient(optimizer, vectorOf(node), gradientClipping);
    using direction = await optimizer.direction({ weightDecay, stored: optimizer.isWhole, signal });
    return await body(direction, gradientNorm);
  }

  async #line(meter: SharpnessMeter, { batch, gradient, together }: Node, direction: Direction) {
    const { model, cost, signal } = this.#subject;
    const started = performance.now();
    const found = await meter.measure({ model, batch, direction, gradient, signal });
    cost.forwardPasses += together * found.forwardPasses;
    return measurementRecord(found, (performance.now() - started) / 1000);
  }

  async #points(node: Node, direction: Direction, critical: number) {
    const { learningRate, configuration } = this.#subject;
    const places = placesAlong(learningRate, critical, configuration.points);
    const points: { learningRate: number; loss: number | null }[] = [];
    for (const place of places)
      points.push({ learningRate: place, loss: await this.#lossAt(node, direction, place) });
    return points;
  }

  async #lossAt({ batch }: Node, direction: Direction, learningRate: number): Promise<number | null> {
    const { model, cost, configuration, signal } = this.#subject;
    const { perturbation: mode } = configuration.search;
    const { microBatch } = configuration.batch;
    const perturbation = { direction, learningRate, mode };
    cost.forwardPasses++;
    return finiteOrNull(await model.loss(batch, { microBatch, signal, perturbation }));
  }
}

/** η between half the smaller and twice the larger of two, evenly in their logarithms, and the first of the two: ascending. */
function placesAlong(asked: number, critical: number, count: number): number[] {
  const [low, high] = [Math.min(asked, critical) / 2, 2 * Math.max(asked, critical)];
  const spaced = Array.from(
    { length: count },
    (_, i) => low * (high / low) ** (count === 1 ? 0.5 : i / (count - 1)),
  );
  return [...new Set([...spaced, asked])].sort((a, b) => a - b);
}
