import { readFile } from "node:fs/promises";
import path from "node:path";
import { checkBoolean, checkOptions, checkSignal, checkString } from "../checks.js";
import { throwIfAborted } from "../errors.js";
import { sharpnessMatrix } from "../measures/index.js";
import { checkCallback, or } from "../measures/options.js";
import { type Batch, loadModel, type Model } from "../models/index.js";
import { AppendLog } from "./append-log.js";
import { type MixConfiguration, type MixConfigurationInput, parseMix } from "./mix-configuration.js";
import { MixData } from "./mix-data.js";
import {
  isOldMix,
  type MixCellRecord,
  type MixLineRecord,
  type MixRecord,
  mixEstimator,
  mixLineRecord,
  mixPairRecord,
  oldMix,
  oneTraining,
} from "./mix-records.js";
import { type MixSummary, summarizeMix } from "./mix-summary.js";
import { sweepMix } from "./mix-sweep.js";
import { trainMixture } from "./mix-train.js";
import { type MixVerdict, mixVerdict } from "./mix-verdict.js";
import { prepareRun, runFiles } from "./run-directory.js";
import { versions } from "./versions.js";

export type MixEvent =
  /** `done` repeats were measured before, and `cells` trained. */
  | { type: "start"; directory: string; repeats: number; done: number; cells: number }
  | { type: "progress"; stage: "moments" | "lines"; repeat: number; done: number; total: number }
  /** Something that makes the error bars too narrow. */
  | { type: "warning"; message: string }
  | { type: "training"; ratio: number; learningRate: number; done: number; total: number }
  | MixRecord;

export interface MixOptions {
  /** The mix's own directory: a new one, or that of the same configuration, which goes on. It may have more repeats. */
  directory: string;
  /** Train at each ratio and learning rate too. Default false. */
  train?: boolean;
  /** Removes what is in the directory and starts again. */
  fresh?: boolean;
  signal?: AbortSignal;
  /** Called for each event, in order. What it throws ends the mix. */
  onProgress?: (event: MixEvent) => void;
}

export interface MixResult extends MixSummary {
  directory: string;
  warnings: string[];
  /** What the training says of the recommendation; null where nothing was trained. */
  verdict: MixVerdict | null;
  cells: MixCellRecord[];
}

/**
 * How much of one source a data mix needs (Kalra et al. 2026, section 5): `sweepMix` over the data of a configuration, into a
 * directory: `config.json` and `metrics.jsonl`, a line at a time. Killed at any moment and called again, it goes on with
 * the repeat, or the training, at which it was.
 *
 * @throws CriticalSharpnessError `ERR_CONFIGURATION`, `ERR_RUN_DIRECTORY` (the directory has another run), `ERR_DATA`,
 *   `ERR_FILE`, those of `sweepMix`; AbortError.
 */
export async function measureMix(
  configuration: MixConfigurationInput | MixConfiguration,
  options: MixOptions,
): Promise<MixResult> {
  const { directory, fresh, train, signal, onProgress } = checkMixOptions(options);
  const checked = await parseMix(configuration);
  const { repeats, train: training, ...fixed } = checked;
  throwIfAborted(signal);
  const listed = { repeats, train: training };
  if (!fresh) await checkEstimator(directory);
  await prepareRun(
    directory,
    { ...fixed, estimator: mixEstimator },
    { fresh, versions: await versions(), listed },
  );
  const { log, kept } = await AppendLog.open<MixRecord>(path.join(directory, runFiles.metrics), whole);
  await using owned = log;
  const lines = kept.filter((record) => record.type === "mix").filter((line) => line.repeat < repeats);
  const cells = kept.filter((record) => record.type === "cell");
  const done = new Set(lines.map(({ repeat }) => repeat));
  onProgress({ type: "start", directory, repeats, done: done.size, cells: cells.length });
  const append = async (record: MixRecord) => {
    await owned.append(record);
    onProgress(record);
  };
  using model = await loadModel(checked.model, { dtype: checked.dtype, device: checked.device });
  await using data = await MixData.open(checked, model);
  const warnings = warningsOf(checked, data);
  for (const message of warnings) onProgress({ type: "warning", message });
  const pairs = kept.filter((record) => record.type === "pair");
  if (pairs.length === 0) await measurePairs({ model, data, configuration: checked, signal, append });
  for (let repeat = 0; repeat < repeats; repeat++) {
    if (done.has(repeat)) continue;
    lines.push(
      ...(await measureRepeat({ model, data, configuration: checked, repeat, signal, onProgress, append })),
    );
    await owned.sync();
  }
  const summary = summarizeMix(lines, checked.seed);
  const trained = train
    ? await trainMixture({
        data,
        configuration: checked,
        points: summary.points,
        cells,
        signal,
        onProgress,
        append,
      })
    : oneTraining(cells, training);
  const verdict = mixVerdict(trained, summary.recommendation);
  return { directory, ...summary, warnings, verdict, cells: trained };
}

/** @throws CriticalSharpnessError `ERR_RUN_DIRECTORY` where an older version measured a mix. */
async function checkEstimator(directory: string): Promise<void> {
  const read = (name: string) => readFile(path.join(directory, name), "utf8").catch(() => "");
  if ((await read(runFiles.metrics)) === "") return;
  if (isOldMix(await read(runFiles.configuration))) throw oldMix(directory);
}

/** The matrix of tasks, along each one's plain gradient, on the batches of the first repeat. */
async function measurePairs({
  model,
  data,
  configuration,
  signal,
  append,
}: Pick<RepeatTask, "model" | "data" | "configuration" | "signal" | "append">): Promise<void> {
  const tasks: Record<string, Batch> = {};
  for (const name of data.tasks) tasks[name] = await data.task(name, 0);
  const { search, batch } = configuration;
  const matrix = await sharpnessMatrix({ ...search, model, tasks, microBatch: batch.microBatch, signal });
  const pairs = Object.entries(matrix).flatMap(([update, row]) =>
    Object.entries(row).map(([evaluate, result]) => mixPairRecord(update, evaluate, result)),
  );
  for (const pair of pairs) await append(pair);
}

interface RepeatTask {
  model: Model;
  data: MixData;
  configuration: MixConfiguration;
  repeat: number;
  signal: AbortSignal | undefined;
  onProgress: (event: MixEvent) => void;
  append: (record: MixRecord) => Promise<void>;
}

async function measureRepeat(task: RepeatTask): Promise<MixLineRecord[]> {
  const { model, data, configuration, repeat, signal, onProgress, append } = task;
  const { ratios, accumulate, optimizer, weightDecay, search, batch } = configuration;
  const total = ratios.length * data.tasks.length;
  let [moments, measured] = [0, 0];
  const { measurements, costs } = await sweepMix({
    model,
    update: data.update,
    evaluate: Object.fromEntries(data.tasks.map((name) => [name, (i: number) => data.task(name, i)])),
    ratios,
    accumulate,
    repeats: 1,
    firstRepeat: repeat,
    optimizer,
    weightDecay,
    ...search,
    microBatch: batch.microBatch,
    signal,
    onProgress({ type }) {
      if (type === "accumulated")
        onProgress({ type: "progress", stage: "moments", repeat, done: ++moments, total: accumulate });
      if (type === "measured")
        onProgress({ type: "progress", stage: "lines", repeat, done: ++measured, total });
    },
  });
  const lines = measurements.map(mixLineRecord);
  for (const line of lines) await append(line);
  for (const cost of costs) await append({ type: "repeat", ...cost });
  return lines;
}

/** The records of repeats that were measured to their end, of cells and of the whole matrix. */
function whole(records: MixRecord[]): MixRecord[] {
  const ended = new Set(records.flatMap((r) => (r?.type === "repeat" ? [r.repeat] : [])));
  const pairs = records.filter((r) => r?.type === "pair");
  const allPairs = pairs.length === new Set(pairs.map((r) => r.evaluate)).size ** 2;
  return records.filter((r) => {
    if (r?.type === "pair") return allPairs;
    return r?.type === "cell" || ended.has(r?.repeat);
  });
}

/** Repeats count as independent: they are not where they share sequences. */
function warningsOf({ sources, repeats, accumulate }: MixConfiguration, data: MixData): string[] {
  const needed = repeats * accumulate;
  const warnings: string[] = [];
  const short = (what: string, wanted: number, there: number) => {
    if (wanted > there)
      warnings.push(
        `${what} has ${there} batches that differ, ${wanted} are taken: repeats share sequences, and the intervals are too narrow`,
      );
  };
  for (const name of Object.keys(sources)) short(`the source "${name}"`, needed, data.sourceBatches(name));
  for (const name of data.tasks) short(`the held-out part of "${name}"`, repeats, data.taskBatches(name));
  return warnings;
}

function checkMixOptions(options: unknown) {
  const { directory, train, fresh, signal, onProgress } = checkOptions(options, "options");
  return {
    directory: checkString(directory, "options.directory"),
    train: checkBoolean(or(train, false), "options.train"),
    fresh: checkBoolean(or(fresh, false), "options.fresh"),
    signal: checkSignal(signal, "options.signal"),
    onProgress: (checkCallback(onProgress, "options.onProgress") ?? (() => {})) as (event: MixEvent) => void,
  };
}
