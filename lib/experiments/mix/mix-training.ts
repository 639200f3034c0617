import path from "node:path";
import { loadModel, type Model } from "../../models/index.js";
import { makeOptimizer } from "../../optimizers/index.js";
import { runFiles, SavingPace, StateFolder } from "../../runs/index.js";
import { finiteOrNull } from "../../statistics.js";
import { type Judgement, judge, judgementSetup, openQuestions } from "./judgement.js";
import type { MixRun } from "./mix.js";
import type { MixConfiguration } from "./mix-configuration.js";
import type { MixData } from "./mix-data.js";
import type { MixPoint } from "./mix-estimate.js";
import { type MixCellRecord, sameSetup } from "./mix-records.js";

interface MixTraining {
  data: MixData;
  configuration: MixConfiguration;
  points: readonly MixPoint[];
  /** Those that were trained before. */
  cells: readonly MixCellRecord[];
  run: MixRun;
}

/**
 * Trains from the checkpoint at each ratio and learning rate, the moments first accumulated with the weights frozen, and
 * tells how the loss of each task's held-out batches that no sweep saw, and the accuracy on multiple-choice questions, changed. Cells that are there are
 * not trained again.
 */
export async function trainMixture(training: MixTraining): Promise<MixCellRecord[]> {
  const { configuration, points, run } = training;
  const { ratios = configuration.ratios, learningRates = defaultLearningRates(points) } = configuration.train;
  const { dtype, device } = configuration;
  using first = await loadModel(configuration.model, { dtype, device, group: run.group });
  const questions = await openQuestions(configuration, first);
  const setup = judgementSetup(training, questions);
  const known = training.cells.filter((cell) => sameSetup(cell.setup, setup));
  const find = (ratio: number, learningRate: number) =>
    known.find((cell) => cell.ratio === ratio && cell.learningRate === learningRate);
  const result: MixCellRecord[] = [];
  const before = { tasks: {}, choices: {} } as Judgement;
  const states = statesOf(run);
  for (const ratio of ratios)
    for (const learningRate of learningRates) {
      await run.throwIfStopped();
      const there = find(ratio, learningRate);
      if (there) {
        result.push(there);
        continue;
      }
      const started = performance.now();
      if (Object.keys(before.tasks).length === 0)
        Object.assign(before, await judge({ ...training, signal: run.signal }, first, questions));
      await accumulateMoments(training, first, ratio, states.moments);
      using model = await trainCell(training, { ratio, learningRate }, states);
      const after = await judge({ ...training, signal: run.signal }, model, questions);
      const cell: MixCellRecord = {
        type: "cell",
        ratio,
        learningRate,
        setup,
        tasks: changes(before.tasks, after.tasks, finiteOrNull),
        choices: changes(before.choices, after.choices, (x) => x),
        seconds: (performance.now() - started) / 1000,
      };
      await run.record(cell);
      result.push(cell);
    }
  for (const state of Object.values(states)) await state.remove();
  return result;
}

/** The moments of a ratio, as far as they are accumulated. */
interface MomentsState {
  version: 1;
  ratio: number;
  done: number;
}

/** A cell under way, with its weights and moments. */
interface CellState extends MomentsState {
  learningRate: number;
}

/** What a stopped training goes on from. */
interface States {
  moments: StateFolder<MomentsState>;
  cell: StateFolder<CellState>;
}

function statesOf({ directory, group }: MixRun): States {
  return {
    moments: new StateFolder(directory, runFiles.moments, ({ version }) => version === 1, group),
    cell: new StateFolder(directory, runFiles.cell, ({ version }) => version === 1, group),
  };
}

const optimizerFile = "optimizer.safetensors";

/** Six, evenly in their logarithm, over what the ratios' worst tasks allow and a factor of four either way. */
function defaultLearningRates(points: readonly MixPoint[]): number[] {
  const ratios = [...new Set(points.map(({ ratio }) => ratio))];
  const worst = ratios.map((ratio) =>
    Math.min(...points.filter((p) => p.ratio === ratio).map((p) => p.criticalLearningRate)),
  );
  const finite = worst.filter((rate) => rate > 0 && Number.isFinite(rate));
  const own = points.map((p) => p.criticalLearningRate).filter((rate) => rate > 0 && Number.isFinite(rate));
  const rates = finite.length > 0 ? finite : own.length > 0 ? own : [1e-3];
  const [low, high] = [Math.min(...rates) / 4, Math.max(...rates) * 4];
  return Array.from({ length: 6 }, (_, i) => Number((low * (high / low) ** (i / 5)).toPrecision(3)));
}

/** Fills the moments of a ratio with gradients of the frozen weights, from where they were left. */
async function accumulateMoments(
  { data, configuration, run }: MixTraining,
  model: Model,
  ratio: number,
  moments: States["moments"],
): Promise<void> {
  const total = configuration.accumulate;
  const found = await moments.find();
  let done = found?.ratio === ratio ? found.done : 0;
  if (done === total) return;
  using optimizer = makeOptimizer(model, configuration.optimizer);
  if (done > 0) await optimizer.load(path.join(moments.folder, optimizerFile));
  const batchAt = data.mixture(ratio);
  const { microBatch } = configuration.batch;
  const save = () =>
    moments.save(async (folder) => {
      await optimizer.save(path.join(folder, optimizerFile));
      return { version: 1, ratio, done };
    });
  const saving = new SavingPace(save, run.group);
  while (done < total) {
    await optimizer.accumulateFrom(await batchAt(done + 1), { microBatch });
    done++;
    const stopped = await run.isStopped();
    if (done === total || stopped) await save();
    else await saving.perhaps();
    if (stopped) throw run.stopped();
  }
}

/**
 * The model of a cell, trained from the checkpoint or from where it was left. It belongs to the caller. A stop waits for the step that
 * is under way, here and while moments are filled, and keeps it.
 */
async function trainCell(
  { data, configuration, run }: MixTraining,
  { ratio, learningRate }: { ratio: number; learningRate: number },
  { moments, cell }: States,
): Promise<Model> {
  const { dtype, device } = configuration;
  const found = await cell.find();
  const { steps } = configuration.train;
  // Another training, of fewer steps, may follow in the directory.
  const isOwn = found?.ratio === ratio && found.learningRate === learningRate && found.done <= steps;
  const state = isOwn ? found : undefined;
  const model = await loadModel(state ? cell.folder : configuration.model, {
    dtype,
    device,
    group: run.group,
  });
  try {
    using optimizer = makeOptimizer(model, configuration.optimizer);
    await optimizer.load(path.join(state ? cell.folder : moments.folder, optimizerFile));
    const batchAt = data.mixture(ratio);
    const { microBatch } = configuration.batch;
    let done = state?.done ?? 0;
    const save = () =>
      cell.save(async (folder) => {
        await model.save(folder);
        await optimizer.save(path.join(folder, optimizerFile));
        return { version: 1, ratio, learningRate, done };
      });
    const saving = new SavingPace(save, run.group);
    while (done < steps) {
      // The batches after those that made the moments.
      const batch = await batchAt(configuration.accumulate + done + 1);
      const { gradient, loss } = await model.gradient(batch, { microBatch });
      using own = gradient;
      await run.tell({ type: "training", ratio, learningRate, done: done + 1, total: steps });
      if (!Number.isFinite(loss)) break;
      await optimizer.accumulate(own);
      await optimizer.step({ learningRate });
      done++;
      const stopped = await run.isStopped();
      if (stopped) await save();
      else if (done < steps) await saving.perhaps();
      if (stopped) throw run.stopped();
    }
    return model;
  } catch (error) {
    model.dispose();
    throw error;
  }
}

function changes<After>(
  before: Record<string, number>,
  after: Record<string, number>,
  shown: (value: number) => After,
): Record<string, { before: number; after: After }> {
  return Object.fromEntries(
    Object.entries(before).map(([name, value]) => [
      name,
      { before: value, after: shown(after[name] as number) },
    ]),
  );
}
