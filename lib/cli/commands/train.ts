import path from "node:path";
import { Command } from "commander";
import { isExampleData } from "../../data/index.js";
import { AbortError, CriticalSharpnessError } from "../../errors.js";
import {
  readConfiguration,
  type StepRecord,
  type TrainConfiguration,
  type TrainEvent,
  type TrainResult,
  train,
  writeReport,
} from "../../experiments/index.js";
import type { Device } from "../../models/index.js";
import { type CommonOptions, deviceOption, dtypeOption, integer, jsonOption, positive } from "../options.js";
import { print, short, strings, table } from "../output.js";
import { interruption } from "../program.js";
import { type Progress, showProgress } from "../progress.js";

interface TrainFlags extends CommonOptions {
  out?: string;
  steps?: number;
  every?: number;
  hessianEvery?: number;
  learningRate?: number;
  batchSize?: number;
  files?: string[];
  data?: string[];
  seed?: number;
  dtype?: string;
  device?: Device;
  fresh?: boolean;
}

export function trainCommand(): Command {
  return new Command("train")
    .description("Train a model, measure its critical sharpness on the way and write a report.")
    .argument("<config>", "a JSON file: model, data, optimizer, schedule, steps …")
    .option("--out <dir>", "run directory; a run that is there goes on (default: runs/<name of the file>)")
    .option("--steps <n>", "steps in all", integer(1))
    .option("--every <n>", "measure at every n-th step; 0 = never", integer(0))
    .option("--hessian-every <n>", "measure Hessian eigenvalues at every n-th step; 0 = never", integer(0))
    .option("--learning-rate <x>", "the schedule's highest learning rate", positive)
    .option("--batch-size <n>", "sequences or examples of a step", integer(1))
    .option(
      "--files <path...>",
      "the data's files, folders or patterns, in place of those in the configuration",
    )
    .option("--data <path...>", "the data, of any format, in place of those in the configuration")
    .option("--seed <n>", "of initial weights and data order", integer(0))
    .addOption(dtypeOption())
    .addOption(deviceOption())
    .option("--fresh", "remove a run that is in the directory and start again")
    .addOption(jsonOption())
    .addHelpText(
      "after",
      "\nExample:\n  critical-sharpness train examples/quickstart.json --out runs/first --every 10",
    )
    .action(runTrain);
}

async function runTrain(file: string, flags: TrainFlags): Promise<void> {
  const configuration = await readConfiguration(file, (input) => override(input, flags));
  const directory = flags.out ?? path.join("runs", path.basename(file, path.extname(file)));
  const display = new TrainDisplay();
  using interrupted = interruption(
    "Stopping after this step, with a checkpoint; once more stops at once.",
    display,
  );
  let result: TrainResult;
  try {
    result = await train(configuration, {
      directory,
      fresh: flags.fresh,
      signal: interrupted.signal,
      onProgress: (event) => display.show(event),
    });
  } catch (error) {
    if (error instanceof AbortError) throw stopped(display, error);
    throw error;
  } finally {
    display.stop();
  }

  const report = await writeReport(directory);
  print({ ...result, report }, flags.json, () => [...summary(result, configuration), ...strings(report)]);
}

/** Flags take the place of what stands in the file; what is no object there is complained about later. */
function override(
  input: unknown,
  { steps, every, hessianEvery, learningRate, batchSize, files, data, seed, dtype, device }: TrainFlags,
): unknown {
  if (typeof input !== "object" || input === null) return input;
  const section = (name: string) => (input as Record<string, unknown>)[name];
  const within = (name: string, change: object) => ({ [name]: { ...(section(name) as object), ...change } });
  return {
    ...input,
    ...(steps === undefined ? {} : { steps }),
    ...(seed === undefined ? {} : { seed }),
    ...(dtype === undefined ? {} : { dtype }),
    ...(device === undefined ? {} : { device }),
    ...(learningRate === undefined ? {} : within("optimizer", { learningRate })),
    ...(batchSize === undefined ? {} : within("batch", { size: batchSize })),
    // What stands in the file is relative to it, a flag to where the command runs.
    ...(files === undefined ? {} : within("data", { files: files.map((file) => path.resolve(file)) })),
    ...(data === undefined ? {} : { data: { files: data.map((file) => path.resolve(file)) } }),
    ...(every === undefined
      ? {}
      : every === 0
        ? { measure: null, landscape: null }
        : within("measure", { every })),
    ...(hessianEvery === undefined
      ? {}
      : hessianEvery === 0
        ? { hessian: null }
        : within("hessian", { every: hessianEvery })),
  };
}

function stopped({ step, steps }: TrainDisplay, cause: AbortError): CriticalSharpnessError {
  const where = step > 0 ? `after step ${step} of ${steps}` : "before the first step";
  return new CriticalSharpnessError("ABORT_ERR", `Stopped ${where}. The same command goes on from there`, {
    cause,
  });
}

function summary(result: TrainResult, { data }: TrainConfiguration): string[] {
  const seen = isExampleData(data) ? "examples" : "tokens";
  return table([
    ["steps", `${result.steps}, ${result.tokens} ${seen}`],
    ["loss", short(result.loss)],
    ...(result.validationLoss === null ? [] : [["validation loss", short(result.validationLoss)] as const]),
    ["λc", short(result.criticalSharpness)],
    ["run", result.directory],
  ]);
}

/** Turns the events of a run into a progress display. */
class TrainDisplay {
  #progress: Progress | undefined;
  #sharpness = "";
  step = 0;
  steps = 0;

  show(event: TrainEvent): void {
    if (event.type === "start") {
      this.step = event.step;
      this.steps = event.steps;
      this.#progress = showProgress("step", event.steps, event.step);
      const from = event.step > 0 ? `, going on after step ${event.step}` : "";
      this.note(`${event.parameterCount} parameters, ${event.steps} steps${from}, into ${event.directory}`);
    } else if (event.type === "step") {
      this.step = event.step;
      if (event.measurement) this.#sharpness = `  λc ${sharpnessText(event.measurement)}`;
      this.#progress?.update(event.step, `loss ${event.loss.toFixed(4)}${this.#sharpness}`);
    } else if (event.type === "validation") {
      this.note(`step ${event.step}  validation loss ${short(event.loss)}`);
    }
  }

  note(line: string): void {
    if (this.#progress) this.#progress.note(line);
    else process.stderr.write(`${line}\n`);
  }

  stop(): void {
    this.#progress?.stop();
    this.#progress = undefined;
  }
}

function sharpnessText({ status, criticalSharpness }: NonNullable<StepRecord["measurement"]>): string {
  if (status === "converged") return short(criticalSharpness);
  if (status === "unresolved") return "unresolved";
  return status === "unbounded" ? "0 (unbounded)" : "∞ (non-descent)";
}
