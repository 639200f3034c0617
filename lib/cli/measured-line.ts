import { AbortError, CriticalSharpnessError } from "../errors.js";
import {
  type Batch,
  type Device,
  Direction,
  type Gradient,
  loadBatch,
  loadModel,
  type Model,
} from "../models/index.js";
import type { ComputeDtype, ParameterDtype } from "../torch/index.js";
import { UsageError } from "./output.js";
import { interruption, type Progress, showProgress } from "./progress.js";

/** Flags that name a model, the batch that judges and the direction. */
export interface LineFlags {
  batch: string;
  updateBatch?: string;
  direction: string;
  microBatch?: number;
  dtype?: ComputeDtype;
  parameterDtype?: ParameterDtype;
  device?: Device;
}

/** What the flags name, loaded. */
export interface MeasuredLine {
  model: Model;
  batch: Batch;
  direction: Direction;
  /** Of `batch`. */
  gradient: Gradient;
}

/** What a command is given while it can be interrupted. */
export interface Attended {
  signal: AbortSignal;
  display: Progress;
}

/** Calls a body that Ctrl-C stops, with a progress display that is gone when it is done. */
export async function attended<T>(
  unit: string,
  total: number | undefined,
  body: (given: Attended) => Promise<T>,
): Promise<T> {
  const display = showProgress(unit, total);
  using interrupted = interruption("Stopping.", display);
  try {
    return await body({ signal: interrupted.signal, display });
  } catch (error) {
    if (error instanceof AbortError)
      throw new CriticalSharpnessError("ABORT_ERR", "Stopped", { cause: error });
    throw error;
  } finally {
    display.stop();
  }
}

/** @throws UsageError if the flags name two directions. */
export function checkLineFlags({ direction, updateBatch }: LineFlags): void {
  if (direction !== "gradient" && updateBatch !== undefined)
    throw new UsageError(
      "Expected --update-batch or --direction FILE, not both: an update batch gives a gradient",
    );
}

/** Loads the line, calls the body with it and frees it. */
export async function withLine<T>(
  directory: string,
  flags: LineFlags,
  signal: AbortSignal,
  body: (line: MeasuredLine) => Promise<T>,
): Promise<T> {
  const { device, dtype, parameterDtype } = flags;
  using model = await loadModel(directory, { device, dtype, parameterDtype });
  using batch = await loadBatch(flags.batch);
  using update = flags.updateBatch === undefined ? undefined : await loadBatch(flags.updateBatch);
  const pass = { microBatch: flags.microBatch, signal };
  const gradient = await model.gradient(batch, pass);
  using own = gradient.gradient;
  using other =
    flags.direction !== "gradient"
      ? await Direction.load(flags.direction, model)
      : update && (await model.gradient(update, pass)).gradient;
  return await body({ model, batch, direction: other ?? own, gradient });
}
