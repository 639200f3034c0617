import path from "node:path";
import type { OpenedData } from "../../data/index.js";
import { AbortError } from "../../errors.js";
import { Direction, loadModel, type Model, parameterParts } from "../../models/index.js";
import type { FoundState } from "../../optimizers/index.js";
import type { Group } from "../../ranks/index.js";
import { type Run, runFiles, StateFolder } from "../../runs/index.js";
import { modelOptionsOf } from "../configuration.js";
import { describeOptimizer } from "../describe.js";
import { TrainingData } from "../training-data.js";
import { trainingFacts } from "../training-facts.js";
import type { ListedCheckpoint } from "./checkpoint-list.js";
import { checkFrozenOptions } from "./frozen-options.js";
import { FrozenSeries, type FrozenState } from "./frozen-series.js";
import type { SeriesEvent } from "./series.js";
import type { SeriesConfiguration } from "./series-configuration.js";
import {
  type BatchRecord,
  batchRecord,
  checkpointRecord,
  type SeriesRecord,
  type seriesRecords,
} from "./series-records.js";

export type SeriesRun = Run<SeriesEvent, typeof seriesRecords>;

/** What a series needs to go on within a checkpoint. */
interface SeriesState {
  version: 1;
  /** The checkpoint's directory. */
  checkpoint: string;
  frozen: FrozenState;
  /** Of the batches that are measured. */
  batches: BatchRecord[];
  forwardPasses: number;
  seconds: number;
}

/** Where a series keeps what it needs to go on. */
export const seriesState = ({ directory, group }: Pick<SeriesRun, "directory" | "group">) =>
  new StateFolder<SeriesState>(directory, runFiles.state, ({ version }) => version === 1, group);

/** A checkpoint that is to be measured, and what it takes. */
export interface CheckpointTask {
  checkpoint: ListedCheckpoint;
  opened: OpenedData;
  configuration: SeriesConfiguration;
  /** The optimizer's state that its run left, if it is to be taken. */
  state: FoundState | undefined;
  /** Others of the same weights, by name. */
  sameWeights: readonly string[];
  run: SeriesRun;
  saveEvery: number;
}

/** The records of a checkpoint: one for each of its batches and its own, or that of a failure. @throws AbortError, and what is told throws */
export async function measureOrFail(task: CheckpointTask): Promise<SeriesRecord[]> {
  // What is told of a batch may throw: that ends the series, it is not the checkpoint's fault.
  let thrown: { error: unknown } | undefined;
  const tell = async (event: SeriesEvent) => {
    try {
      await task.run.tell(event);
    } catch (error) {
      thrown = { error };
      throw error;
    }
  };
  try {
    return await measureCheckpoint(task, tell);
  } catch (error) {
    if (thrown) throw thrown.error;
    if (error instanceof AbortError) throw error;
    const { code, message } = error as Error & { code?: unknown };
    // Of the ranks, not of the checkpoint.
    if (code === "ERR_RANK_LOST" || code === "ERR_RANKS_DIFFER") throw error;
    const { directory } = task.checkpoint;
    return [
      { type: "failure", checkpoint: directory, code: typeof code === "string" ? code : null, message },
    ];
  }
}

/** The records of a checkpoint: one for each of its batches, and its own. */
async function measureCheckpoint(
  { checkpoint, configuration, opened, state: stored, sameWeights, run, saveEvery }: CheckpointTask,
  tell: (event: SeriesEvent) => Promise<void>,
): Promise<SeriesRecord[]> {
  const started = performance.now();
  const { optimizer, search, batch, weightDecay, directional, accumulate, measure } = configuration;
  const { recompute, hessian } = configuration;
  const { directory } = checkpoint;
  using model = await openModel(directory, configuration, run.group);
  await using data = TrainingData.over(opened, configuration, model.config);
  using given =
    configuration.direction === null ? undefined : await Direction.load(configuration.direction, model);
  const asked = checkFrozenOptions({
    model,
    batches: (index: number) => data.training(index + 1),
    ...(given ? { direction: given } : { optimizerState: stored?.place }),
    // What PyTorch leaves says what it is of.
    ...(given || (stored && stored.format !== "own") ? {} : { optimizer }),
    ...{ accumulate, measure, weightDecay, directional, recompute },
    parts: partsOf(model, configuration),
    hessian: hessian ?? undefined,
    ...search,
    microBatch: batch.microBatch,
    signal: run.signal,
  });
  const folder = seriesState(run);
  const found = await folder.find();
  const state = found?.checkpoint === directory ? found : undefined;
  using series = await FrozenSeries.begin(asked);
  if (state) await series.restore(folder.folder, state.frozen);
  const batches = state?.batches ?? [];
  let forwardPasses = state?.forwardPasses ?? 0;
  const seconds = () => (state?.seconds ?? 0) + (performance.now() - started) / 1000;
  const skipped = given || stored ? accumulate : 0;
  const total = measure + accumulate - skipped;
  let done = (state?.frozen.done ?? skipped) - skipped;
  await tell({ type: "plan", checkpoint, batches: measure, lines: 1 + asked.parts.length });
  for (;;) {
    await run.throwIfStopped();
    const event = await series.next();
    if (!event) break;
    done++;
    if (event.type === "measured") {
      batches.push(batchRecord(directory, event));
      const lines = [event.measurement, ...Object.values(event.parts)];
      forwardPasses += lines.reduce((sum, line) => sum + line.forwardPasses, 0);
    }
    if (done % saveEvery === 0 && done < total)
      await folder.save(async (place) => ({
        ...{ version: 1, checkpoint: directory, batches, forwardPasses, seconds: seconds() },
        frozen: await series.save(place),
      }));
    await tell({ type: "progress", checkpoint, done, total, loss: event.loss });
  }
  return [
    ...batches,
    checkpointRecord(batches, asked, {
      checkpoint: directory,
      parameterCount: model.parameterCount,
      ...(await provenanceOf(series, checkpoint, configuration, { given: given !== undefined, stored })),
      sameWeights: [...sameWeights],
      accumulated: series.accumulated,
      forwardPasses,
      seconds: seconds(),
    }),
  ];
}

function openModel(
  directory: string,
  configuration: SeriesConfiguration,
  group: Group | undefined,
): Promise<Model> {
  const { program, base } = configuration;
  const options = { ...modelOptionsOf(configuration), group };
  if (program !== null) return loadModel(program, { ...options, weights: directory });
  return base === null ? loadModel(directory, options) : loadModel(base, { ...options, adapter: directory });
}

/** Where Δ came from, and η of the run. */
async function provenanceOf(
  { optimizer }: FrozenSeries,
  checkpoint: ListedCheckpoint,
  configuration: SeriesConfiguration,
  { given, stored }: { given: boolean; stored: FoundState | undefined },
) {
  const isForeign = stored !== undefined && stored.format !== "own" && optimizer !== undefined;
  const source = stored && (path.relative(checkpoint.directory, stored.place) || path.basename(stored.place));
  const rate = isForeign ? { learningRate: optimizer.learningRate, source: source as string } : undefined;
  return {
    direction: given ? ("given" as const) : stored ? ("stored" as const) : ("accumulated" as const),
    optimizer: isForeign ? describeOptimizer(optimizer.choice) : null,
    optimizerState: source ?? null,
    ...(await trainingFacts(checkpoint, configuration, rate)),
  };
}

function partsOf(model: Model, { parts }: SeriesConfiguration): Record<string, string[]> {
  return Object.assign({}, ...parts.map((by) => parameterParts(model.parameters, by)));
}
