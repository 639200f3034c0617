import type { OpenedData } from "../../data/index.js";
import type { Batch, Model } from "../../models/index.js";
import { TrainingData } from "../training-data.js";
import type { CheckConfiguration } from "./check-configuration.js";

/** The batches that are measured, and how several of them are one. They belong to `data`. */
export interface MeasuredBatches {
  data: AsyncDisposable;
  batches: Batch[];
  /** Of a batch. */
  rows: number;
  join: ((first: number, count: number) => Batch) | null;
}

/** One batch that is as many as are measured, cut; of data that have fewer, as many as there are. */
export async function openBatches(
  opened: OpenedData,
  configuration: CheckConfiguration,
  model: Model,
): Promise<MeasuredBatches> {
  const { batch: shape, batches: wanted } = configuration;
  for (let count = wanted; ; count = Math.floor(count / 2)) {
    const resources: (Disposable | AsyncDisposable)[] = [];
    const data = {
      async [Symbol.asyncDispose]() {
        for (const one of resources.reverse())
          if (Symbol.asyncDispose in one) await one[Symbol.asyncDispose]();
          else one[Symbol.dispose]();
      },
    };
    try {
      const source = TrainingData.over(
        opened,
        { ...configuration, batch: { ...shape, size: count * shape.size } },
        model.config,
      );
      resources.push(source);
      const whole = await source.training(1);
      const [rows = 1] = whole.shape;
      if (count === 1) return { data, batches: [whole], rows, join: null };
      const size = rows / count;
      const cut = (first: number, many: number) => whole.rows(first * size, (first + many) * size);
      const batches = Array.from({ length: count }, (_, i) => cut(i, 1));
      resources.push(...batches);
      // What a program makes of more rows is not the mean of what it makes of each, unless that was declared.
      const adds = model.config.model_type !== "program" || configuration.reduction !== null;
      return { data, batches, rows: size, join: adds ? cut : null };
    } catch (error) {
      await data[Symbol.asyncDispose]();
      const { code } = error as { code?: string };
      if (count === 1 || code !== "ERR_DATA") throw error;
    }
  }
}
