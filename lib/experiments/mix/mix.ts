import * as z from "zod";
import { type Batch, loadModel, type Model } from "../../models/index.js";
import { type OptionsOf, readOptions } from "../../options/index.js";
import {
  type RankOptions,
  Run,
  type RunOptions,
  rankOptions,
  runFiles,
  runOptions,
  StateFolder,
} from "../../runs/index.js";
import { sharpnessMatrix } from "../../sharpness/index.js";
import { mixKind } from "./index.js";
import { type MixConfiguration, type MixConfigurationInput, parseMix } from "./mix-configuration.js";
import { MixData } from "./mix-data.js";
import {
  type MixCellRecord,
  type MixLineRecord,
  type MixRecord,
  mixLineRecord,
  mixPairRecord,
  type mixRecords,
  oneTraining,
} from "./mix-records.js";
import { trainMixture } from "./mix-training.js";
import { type MixSummary, type MixVerdict, mixVerdict, summarizeMix } from "./summary.js";
import { MixRepeat, type MixRepeatState } from "./sweep.js";
import { checkMixSweep } from "./sweep-options.js";

export type MixEvent =
  /** `done` repeats were measured before, and `cells` trained. */
  | { type: "start"; directory: string; repeats: number; done: number; cells: number }
  | { type: "progress"; stage: "moments" | "lines"; repeat: number; done: number; total: number }
  /** Something that makes the error bars too narrow. */
  | { type: "warning"; message: string }
  | { type: "training"; ratio: number; learningRate: number; done: number; total: number }
  | MixRecord;

/** More repeats than before, and another training, may follow in the directory of a mix. */
const mixShape = {
  /** Train at each ratio and learning rate too. Default false. */
  train: z.boolean().default(false),
};

const mixOptions = z.strictObject({ ...runOptions<MixEvent>(), ...rankOptions, ...mixShape });

export interface MixOptions extends RunOptions<MixEvent>, RankOptions, OptionsOf<typeof mixShape> {}

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
  const checked = readOptions(mixOptions, options);
  const parsed = await parseMix(configuration);
  const { repeats, train: training } = parsed;
  await using run = await Run.open<MixEvent, MixConfiguration, typeof mixRecords>(mixKind, parsed, checked);
  const { directory, group } = run;
  const kept = await openLog(run, parsed);
  const lines = kept.filter((record) => record.type === "mix").filter((line) => line.repeat < repeats);
  const cells = kept.filter((record) => record.type === "cell");
  const done = new Set(lines.map(({ repeat }) => repeat));
  await run.tell({ type: "start", directory, repeats, done: done.size, cells: cells.length });
  using model = await loadModel(parsed.model, { dtype: parsed.dtype, device: parsed.device, group });
  await using data = await MixData.open(parsed, model);
  const warnings = warningsOf(parsed, data);
  for (const message of warnings) await run.tell({ type: "warning", message });
  const task = { model, data, configuration: parsed, run };
  if (!kept.some((record) => record.type === "pair")) await measurePairs(task);
  for (let repeat = 0; repeat < repeats; repeat++) {
    if (done.has(repeat)) continue;
    lines.push(...(await measureRepeat(task, repeat)));
  }
  const summary = summarizeMix(lines, parsed.seed);
  const trained = checked.train
    ? await trainMixture({ data, configuration: parsed, points: summary.points, cells, run })
    : oneTraining(cells, training);
  const verdict = mixVerdict(trained, summary.recommendation);
  return { directory, ...summary, warnings, verdict, cells: trained };
}

export type MixRun = Run<MixEvent, typeof mixRecords>;

interface MixTask {
  model: Model;
  data: MixData;
  configuration: MixConfiguration;
  run: MixRun;
}

/** Opens the log behind the last matrix, repeat or cell of which all lines are there; these lines. */
async function openLog(run: MixRun, configuration: MixConfiguration): Promise<MixRecord[]> {
  const { sources, tasks, withoutTask } = configuration;
  const count = Object.keys({ ...sources, ...tasks }).length - withoutTask.length;
  const records: MixRecord[] = [];
  let whole = 0;
  for await (const record of run.recorded()) {
    records.push(record);
    const isLast = record.type === "pair" ? records.length === count ** 2 : record.type !== "mix";
    if (isLast) whole = records.length;
  }
  let taken = 0;
  await run.openLog({ take: () => ++taken <= whole });
  return records.slice(0, whole);
}

/** The matrix of tasks, along each one's plain gradient, on the batches of the first repeat. */
async function measurePairs({ model, data, configuration, run }: MixTask): Promise<void> {
  const tasks: Record<string, Batch> = {};
  for (const name of data.tasks) tasks[name] = await data.task(name, 0);
  const { search, batch } = configuration;
  const { signal } = run;
  const matrix = await sharpnessMatrix({ ...search, model, tasks, microBatch: batch.microBatch, signal });
  for (const [update, row] of Object.entries(matrix))
    for (const [evaluate, result] of Object.entries(row))
      await run.record(mixPairRecord(update, evaluate, result));
}

/** What a mix needs to go on within a repeat. */
interface MixState {
  version: 1;
  repeat: MixRepeatState;
  /** Of the lines that are measured. */
  lines: MixLineRecord[];
}

const stateOf = ({ directory, group }: MixRun) =>
  new StateFolder<MixState>(directory, runFiles.state, ({ version }) => version === 1, group);

async function measureRepeat(task: MixTask, index: number): Promise<MixLineRecord[]> {
  const { model, data, configuration, run } = task;
  const { ratios, accumulate, optimizer, weightDecay, search, batch } = configuration;
  const options = checkMixSweep({
    model,
    update: data.update,
    evaluate: Object.fromEntries(data.tasks.map((name) => [name, (i: number) => data.task(name, i)])),
    ratios,
    accumulate,
    optimizer,
    weightDecay,
    ...search,
    microBatch: batch.microBatch,
    signal: run.signal,
  });
  const folder = stateOf(run);
  const found = await folder.find();
  const state = found?.repeat.repeat === index ? found : undefined;
  using repeat = new MixRepeat(options, index);
  if (state) await repeat.restore(folder.folder, state.repeat);
  const lines = state?.lines ?? [];
  let moments = state?.repeat.accumulated ?? 0;
  for (;;) {
    await run.throwIfStopped();
    const event = await repeat.next();
    if (!event) break;
    if (event.type === "cost") {
      for (const line of lines) await run.record(line);
      const { type: _, ...cost } = event;
      await run.record({ type: "repeat", ...cost });
      continue;
    }
    if (event.type === "measured") lines.push(mixLineRecord(event));
    else moments++;
    await folder.save(async (place) => ({
      version: 1,
      repeat: await repeat.save(place, (file) => folder.reuse(file, place)),
      lines,
    }));
    const progress =
      event.type === "measured"
        ? { stage: "lines" as const, done: lines.length, total: ratios.length * data.tasks.length }
        : { stage: "moments" as const, done: moments, total: accumulate };
    await run.tell({ type: "progress", repeat: index, ...progress });
  }
  await run.sync();
  await folder.remove();
  return lines;
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
