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
  trainSchema,
  writeReport,
} from "../../experiments/index.js";
import type { Group } from "../../ranks/index.js";
import { type ConfiguredFlags, configuredByFile, sinksOf } from "../options.js";
import {
  interruption,
  type Progress,
  print,
  type SetStatus,
  short,
  showProgress,
  strings,
  table,
} from "../progress.js";

export function trainCommand(setStatus: SetStatus): Command {
  const command = new Command("train")
    .description("Train a model, measure its critical sharpness on the way and write a report.")
    .argument("<config>", "a JSON file: model, data, optimizer, schedule, steps …")
    .option("--out <dir>", "run directory; a run that is there goes on (default: runs/<name of the file>)");
  return configuredByFile(command, {
    schema: trainSchema,
    read: readConfiguration,
    example: "critical-sharpness train examples/quickstart.json --out runs/first --every 10",
    run: runTrain,
    setStatus,
  });
}

async function runTrain(
  configuration: TrainConfiguration,
  flags: ConfiguredFlags & { out: string },
  group: Group,
): Promise<void> {
  const directory = flags.out;
  const display = new TrainDisplay({ silent: !group.isFirst });
  using interrupted = interruption(
    "Stopping after this step, with a checkpoint; once more stops at once.",
    display,
  );
  let result: TrainResult;
  try {
    result = await train(configuration, {
      directory,
      fresh: flags.fresh,
      sinks: sinksOf(flags),
      signal: interrupted.signal,
      onProgress: (event) => display.show(event),
      group,
    });
  } catch (error) {
    if (!group.isFirst) throw error;
    if (error instanceof AbortError) throw stopped(display, error);
    throw await withReport(error as Error & { code?: string }, directory);
  } finally {
    display.stop();
  }

  if (!group.isFirst) return;
  const report = await writeReport(directory);
  if (!flags.jsonLines)
    print({ ...result, report }, flags.json, () => [...summary(result, configuration), ...strings(report)]);
}

/** What a training that diverged left is worth looking at. */
async function withReport(error: Error & { code?: string }, directory: string): Promise<Error> {
  if (error.code !== "ERR_DIVERGED") return error;
  const report = await writeReport(directory).catch(() => undefined);
  if (!report) return error;
  return new CriticalSharpnessError(error.code, `${error.message}. ${report.html} shows the steps before`, {
    cause: error,
  });
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
  readonly #silent: boolean;

  constructor({ silent }: { silent: boolean }) {
    this.#silent = silent;
  }

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
    if (this.#silent) return;
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
