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

/**
 * One batch that is as many as are measured, cut; of data that have fewer rows, as many as there are. What a program makes of more rows is
 * not the mean of what it makes of each, unless that was declared: its batches are one after the other, and never one.
 */
export async function openBatches(
  opened: OpenedData,
  configuration: CheckConfiguration,
  { config }: Model,
): Promise<MeasuredBatches> {
  const { batch: shape, batches: wanted, reduction } = configuration;
  const adds = config.model_type !== "program" || reduction !== null;
  const sized = (count: number) =>
    TrainingData.over(opened, { ...configuration, batch: { ...shape, size: count * shape.size } }, config);
  for (let count = wanted; ; count = Math.floor(count / 2)) {
    try {
      const source = sized(count);
      return adds ? await cutBatches(source, count) : await firstBatches(sized(1), count);
    } catch (error) {
      const { code } = error as { code?: string };
      if (count === 1 || code !== "ERR_DATA") throw error;
    }
  }
}

async function cutBatches(data: TrainingData, count: number): Promise<MeasuredBatches> {
  const whole = await data.training(1);
  const rows = (whole.shape[0] as number) / count;
  const cut = (first: number, many: number) => whole.rows(first * rows, (first + many) * rows);
  const batches = Array.from({ length: count }, (_, i) => cut(i, 1));
  return { data: both(data, batches), batches, rows, join: count > 1 ? cut : null };
}

async function firstBatches(data: TrainingData, count: number): Promise<MeasuredBatches> {
  const batches = await data.first(count);
  return { data: both(data, batches), batches, rows: batches[0]?.shape[0] as number, join: null };
}

const both = (data: TrainingData, batches: readonly Batch[]): AsyncDisposable => ({
  async [Symbol.asyncDispose]() {
    for (const batch of batches) batch.dispose();
    await data[Symbol.asyncDispose]();
  },
});
