import { access, link, mkdir, readdir, readFile, rename, rm } from "node:fs/promises";
import path from "node:path";
import { CriticalSharpnessError } from "../errors.js";
import type { MeterState } from "../measures/index.js";
import { loadModel, type Model, type ModelOptions } from "../models/index.js";
import { openFile } from "../open-file.js";
import type { Optimizer } from "../optimizers/index.js";
import { runFiles } from "./run-directory.js";
import type { Training } from "./training-step.js";

/** What a run needs besides weights and optimizer state to go on after a step. */
export interface RunState {
  version: 1;
  /** Steps made. */
  step: number;
  /** Tokens, or examples, seen. */
  tokens: number;
  meter: MeterState | null;
}

const optimizerFile = "optimizer.safetensors";
const stateFile = "state.json";

/**
 * Replaces a run's checkpoint. It is written beside the old one, and complete once its state.json is there: whenever
 * this is killed, `findCheckpoint` finds the old one or the new one, whole.
 */
export async function saveCheckpoint(
  directory: string,
  { model, optimizer, curvature }: Pick<Training, "model" | "optimizer" | "curvature">,
  state: RunState,
): Promise<void> {
  const { next, previous } = places(directory);
  await rm(next, { recursive: true, force: true });
  await mkdir(next);
  await model.save(next);
  await optimizer.save(path.join(next, optimizerFile));
  await curvature.save(next);
  const file = path.join(next, stateFile);
  {
    await using handle = await openFile(`${file}.tmp`, "w");
    await handle.writeFile(`${JSON.stringify(state)}\n`);
    await handle.sync();
  }
  await rename(`${file}.tmp`, file);
  await settle(directory);
  await rm(previous, { recursive: true, force: true });
}

/**
 * Keeps the current checkpoint beside the run, as `checkpoints/step100`, whole or not at all. Its files are linked, not
 * copied: a checkpoint's files are replaced, never changed.
 */
export async function keepCheckpoint(directory: string, step: number): Promise<void> {
  const { current } = places(directory);
  const kept = path.join(directory, runFiles.checkpoints, `step${step}`);
  if (await exists(kept)) return;
  await rm(`${kept}.next`, { recursive: true, force: true });
  await mkdir(`${kept}.next`, { recursive: true });
  for (const file of await readdir(current))
    await link(path.join(current, file), path.join(`${kept}.next`, file));
  await rename(`${kept}.next`, kept);
}

/** The folder of a run's checkpoint, if it has one, and its state. */
export async function findCheckpoint(
  directory: string,
): Promise<{ folder: string; state: RunState } | undefined> {
  await settle(directory);
  const { current } = places(directory);
  if (!(await exists(current))) return undefined;
  const file = path.join(current, stateFile);
  let state: RunState;
  try {
    state = JSON.parse(await readFile(file, "utf8"));
  } catch (error) {
    throw damaged(file, (error as Error).message);
  }
  if (state?.version !== 1 || !Number.isSafeInteger(state.step) || !Number.isSafeInteger(state.tokens))
    throw damaged(file, "another kind of JSON");
  return { folder: current, state };
}

export function loadCheckpointModel(folder: string, options: ModelOptions): Promise<Model> {
  return loadModel(folder, options);
}

export function loadCheckpointOptimizer(folder: string, optimizer: Optimizer): Promise<void> {
  return optimizer.load(path.join(folder, optimizerFile));
}

function places(directory: string) {
  const current = path.join(directory, runFiles.checkpoint);
  return { current, next: `${current}.next`, previous: `${current}.previous` };
}

/** Puts a complete next checkpoint in the place of the current one, or the previous one back: folders cannot be swapped in one go. */
async function settle(directory: string): Promise<void> {
  const { current, next, previous } = places(directory);
  if (await exists(path.join(next, stateFile))) {
    if (await exists(current)) {
      await rm(previous, { recursive: true, force: true });
      await rename(current, previous);
    }
    await rename(next, current);
  } else if (!(await exists(current)) && (await exists(path.join(previous, stateFile)))) {
    await rename(previous, current);
  }
}

function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}

function damaged(file: string, received: string): CriticalSharpnessError {
  return new CriticalSharpnessError(
    "ERR_CHECKPOINT",
    `Expected the state of a run for "${file}" but received ${received}. Start the run afresh`,
  );
}
