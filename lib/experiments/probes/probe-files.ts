import { readdir, stat } from "node:fs/promises";
import path from "node:path";
import { CriticalSharpnessError, unusable } from "../../errors.js";
import { readSafetensorsHeader } from "../../files/index.js";
import {
  type Batch,
  Direction,
  loadBatch,
  loadModel,
  type Model,
  type ModelOptions,
} from "../../models/index.js";

/** A training as it was right before one of its updates, in a folder that examples/python/critical_sharpness_probe.py wrote. */
export interface Probe {
  /** Of its folder. */
  name: string;
  directory: string;
  /** Updates that the training had made. */
  step: number;
  /** When it was written, in milliseconds: a training that was begun again writes other probes of the same names. */
  written: number;
}

const files = { direction: "direction.safetensors", batch: "batch.safetensors" };

/** The probes of a folder by step; none where it is not there yet. A probe is renamed into place, so it is there as a whole. */
export async function findProbes(directory: string): Promise<Probe[]> {
  const names = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw badProbes("a folder that can be read", directory, error.message, error);
  });
  const named = names.flatMap((name) => {
    const step = /^step-(\d+)$/.exec(name)?.[1];
    return step === undefined ? [] : [{ name, directory: path.join(directory, name), step: Number(step) }];
  });
  const found = named.map(async (probe) => ({ ...probe, written: await writtenAt(probe.directory) }));
  return (await Promise.all(found)).sort((a, b) => a.step - b.step);
}

const writtenAt = (directory: string) =>
  stat(path.join(directory, files.direction)).then(
    ({ mtimeMs }) => Math.trunc(mtimeMs),
    () => 0,
  );

/** What is measured of a probe. */
export interface LoadedProbe {
  model: Model;
  batch: Batch;
  /** Δ: the training's next update is θ − ηΔ. */
  direction: Direction;
  /** η */
  learningRate: number;
}

/**
 * Loads a probe, calls the body with it and frees it.
 *
 * @param program whose weights the probe has; null: the probe is a Hugging Face model
 * @throws CriticalSharpnessError `ERR_PROBE`, and what `loadModel`, `loadBatch` and `Direction.load` throw; AbortError.
 */
export async function withProbe<T>(
  { directory }: Probe,
  { program, ...options }: ModelOptions & { program: string | null },
  body: (loaded: LoadedProbe) => Promise<T>,
): Promise<T> {
  const { signal } = options;
  const learningRate = await readLearningRate(path.join(directory, files.direction));
  using model =
    program === null
      ? await loadModel(directory, options)
      : await loadModel(program, { ...options, weights: directory });
  const named = model.config.model_type === "program";
  using batch = await loadBatch(path.join(directory, files.batch), { named, signal });
  using direction = await Direction.load(path.join(directory, files.direction), model, { signal });
  return await body({ model, batch, direction, learningRate });
}

async function readLearningRate(file: string): Promise<number> {
  const { metadata } = await readSafetensorsHeader(file);
  const learningRate = Number(metadata.learning_rate);
  if (learningRate > 0 && Number.isFinite(learningRate)) return learningRate;
  const received = metadata.learning_rate === undefined ? "nothing" : JSON.stringify(metadata.learning_rate);
  throw new CriticalSharpnessError(
    "ERR_PROBE",
    `Expected a number > 0 for "learning_rate" in the metadata of the probe's "${file}" but received ${received}`,
  );
}

export function badProbes(
  what: string,
  directory: string,
  received: string,
  cause?: unknown,
): CriticalSharpnessError {
  return unusable("ERR_PROBES", what, `the probes "${directory}"`, received, cause);
}
