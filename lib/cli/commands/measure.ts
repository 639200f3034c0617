import { Command, Option } from "commander";
import { AbortError, CriticalSharpnessError } from "../../errors.js";
import { criticalSharpness } from "../../measures/index.js";
import { type Batch, Direction, loadBatch, loadModel, type Model } from "../../models/index.js";
import type { ComputeDtype } from "../../native/surface.js";
import type { Evaluation, SearchMethod, SearchResult } from "../../search/index.js";
import { UsageError } from "../failure.js";
import { type CommonOptions, dtypeOption, integer, jsonOption, positive } from "../options.js";
import { print, short, table } from "../output.js";
import { showProgress } from "../progress.js";
import { interruption } from "../signals.js";

interface MeasureFlags extends CommonOptions {
  batch: string;
  updateBatch?: string;
  direction: string;
  tolerance?: number;
  method?: SearchMethod;
  initialLearningRate?: number;
  microBatch?: number;
  dtype?: ComputeDtype;
  device?: "cpu";
}

export function measureCommand(): Command {
  return new Command("measure")
    .description("Measure the critical sharpness of a model for one batch along one direction.")
    .argument("<model-dir>", "a Hugging Face directory: config.json and model.safetensors")
    .requiredOption("--batch <file>", "the batch that is judged, a safetensors file")
    .option("--update-batch <file>", "the batch whose gradient is the direction (default: the same)")
    .option(
      "--direction <what>",
      '"gradient", or a safetensors file with a tensor for each parameter',
      "gradient",
    )
    .option("--tolerance <x>", "ε of the certificate 1 − lower/upper ≤ ε (default: 0.0625)", positive)
    .addOption(new Option("--method <name>", "how to search").choices(["interpolated", "bisection"]))
    .option("--initial-learning-rate <x>", "where the search starts", positive)
    .option("--micro-batch <n>", "rows or sequences at a time: bounds the memory", integer(1))
    .addOption(dtypeOption())
    .addOption(new Option("--device <name>", "where to compute").choices(["cpu"]))
    .addOption(jsonOption())
    .addHelpText(
      "after",
      "\nExample:\n  critical-sharpness measure runs/first/checkpoint --batch batch.safetensors --json",
    )
    .action(runMeasure);
}

async function runMeasure(directory: string, flags: MeasureFlags): Promise<void> {
  const fromFile = flags.direction !== "gradient";
  if (fromFile && flags.updateBatch !== undefined)
    throw new UsageError(
      "Expected --update-batch or --direction FILE, not both: an update batch gives a gradient",
    );
  const display = showProgress("evaluation", undefined);
  using interrupted = interruption("Stopping.", display);
  const { signal } = interrupted;
  try {
    using model = await loadModel(directory, { device: flags.device, dtype: flags.dtype });
    using batch = await loadBatch(flags.batch);
    using update = flags.updateBatch === undefined ? undefined : await loadBatch(flags.updateBatch);
    let evaluations = 0;
    const result = await measure(model, batch, update, flags, {
      signal,
      onEvaluation: ({ learningRate, loss }) =>
        display.update(++evaluations, `η ${short(learningRate)}  loss ${short(loss)}`),
    });
    display.stop();
    print(result, flags.json, () => describe(result));
  } catch (error) {
    if (error instanceof AbortError)
      throw new CriticalSharpnessError("ABORT_ERR", "Stopped", { cause: error });
    throw error;
  } finally {
    display.stop();
  }
}

async function measure(
  model: Model,
  batch: Batch,
  update: Batch | undefined,
  flags: MeasureFlags,
  { signal, onEvaluation }: { signal: AbortSignal; onEvaluation: (evaluation: Evaluation) => void },
): Promise<SearchResult> {
  const { microBatch, tolerance, method, initialLearningRate } = flags;
  const gradient = await model.gradient(batch, { microBatch, signal });
  using slopeGradient = gradient.gradient;
  using made = await otherDirection(model, update, flags, signal);
  return await criticalSharpness({
    model,
    batch,
    direction: made ?? slopeGradient,
    gradient,
    tolerance,
    method,
    initialLearningRate,
    microBatch,
    signal,
    onEvaluation,
  });
}

/** The direction, where it is not the judged batch's own gradient. */
async function otherDirection(
  model: Model,
  update: Batch | undefined,
  { direction, microBatch }: MeasureFlags,
  signal: AbortSignal,
): Promise<Direction | undefined> {
  if (direction !== "gradient") return Direction.load(direction, model);
  return update && (await model.gradient(update, { microBatch, signal })).gradient;
}

function describe(result: SearchResult): string[] {
  return table([
    ["λc", `${short(result.criticalSharpness)}   (2/ηc)`],
    ["ηc", `${short(result.criticalLearningRate)}   in [${short(result.lower)}, ${short(result.upper)}]`],
    ["status", `${result.status}, first crossing ${result.firstCrossing}`],
    ["loss", `${short(result.baseLoss)}   slope ∇L·Δ ${short(result.slope)}`],
    ["forward passes", `${result.forwardPasses}`],
  ]);
}
