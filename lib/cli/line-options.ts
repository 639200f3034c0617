import type { Command } from "commander";
import * as z from "zod";
import {
  type Batch,
  type Device,
  Direction,
  type Gradient,
  loadModel,
  type Model,
  type ModelOptions,
  modelOptions,
  programOptions,
} from "../models/index.js";
import { addFlags } from "../options/index.js";
import type { ComputeDtype, ParameterDtype } from "../torch/index.js";
import { loadBatchFor, modelArgument } from "./options.js";
import { UsageError } from "./progress.js";

/** Argument and options of a command that looks along a line: `LineFlags`. */
export function lineOptions(command: Command): Command {
  command
    .argument("<model>", modelArgument)
    .requiredOption("--batch <file>", "the batch that is judged, a safetensors file")
    .option("--update-batch <file>", "the batch whose gradient is the direction (default: the same)")
    .option(
      "--direction <what>",
      '"gradient", or a safetensors file with a tensor for each parameter',
      "gradient",
    );
  addFlags(command, z.strictObject({ ...modelOptions, ...programOptions }));
  return command;
}

/** Flags that name a model, the batch that judges and the direction. */
export interface LineFlags {
  batch: string;
  updateBatch?: string;
  direction: string;
  microBatch?: number;
  dtype?: ComputeDtype;
  parameterDtype?: ParameterDtype;
  device?: Device;
  trainable?: string[];
  reduction?: ModelOptions["reduction"];
  dropoutSeed?: number;
  weights?: string;
}

/** What the flags name, loaded. */
export interface MeasuredLine {
  model: Model;
  batch: Batch;
  direction: Direction;
  /** Of `batch`. */
  gradient: Gradient;
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
  const { device, dtype, parameterDtype, trainable, reduction, dropoutSeed, weights } = flags;
  const program = { reduction, dropoutSeed, weights };
  using model = await loadModel(directory, { device, dtype, parameterDtype, trainable, ...program });
  using batch = await loadBatchFor(model, flags.batch);
  using update = flags.updateBatch === undefined ? undefined : await loadBatchFor(model, flags.updateBatch);
  const pass = { microBatch: flags.microBatch, signal };
  const gradient = await model.gradient(batch, pass);
  using own = gradient.gradient;
  using other =
    flags.direction !== "gradient"
      ? await Direction.load(flags.direction, model)
      : update && (await model.gradient(update, pass)).gradient;
  return await body({ model, batch, direction: other ?? own, gradient });
}
